"""Whatever a server does wrong is tried again, told in one line, or both."""

import time
from email.utils import formatdate

import pytest
from scripted import AB, FIVE, KEY, asking, engine, one, saying

from rerank.engines.journal import Journal
from rerank.engines.remote import connection
from rerank.errors import EngineError
from rerank.records import Usage
from rerank.wants import Likelihood, Message, Reply, Request


def test_429_waits_as_long_as_it_is_told(serve):
    answers = iter(
        [(429, {"error": {"message": "slow down"}}, {"retry-after": "1"}), (200, saying())]
    )
    server = serve(lambda *_: next(answers))
    started = time.monotonic()
    with engine(server.url) as opened:
        assert one(opened).text == "Yes"
    assert 1 <= time.monotonic() - started < 5
    assert len(server.asked) == 2


def test_retry_after_is_seconds_or_a_date():
    assert connection.retry_after("2.5") == 2.5
    assert 58 < connection.retry_after(formatdate(time.time() + 60, usegmt=True)) <= 60
    assert connection.retry_after(formatdate(time.time() - 60, usegmt=True)) == 0
    assert (
        connection.retry_after("soon")
        == connection.retry_after("")
        == connection.retry_after("-3")
        == 0
    )


def test_a_quota_that_lasts_for_hours_is_not_waited_for(serve):
    server = serve(lambda *_: (429, {"error": "daily quota"}, {"retry-after": "7200"}))
    with engine(server.url) as opened:
        assert one(opened).error.endswith("daily quota (it asks to wait 7200 s)")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_trouble_is_tried_as_often_as_asked_and_reported_as_last_seen(serve, at_once, status):
    count = iter(range(1, 10))
    server = serve(lambda *_: (status, {"error": {"message": f"no {next(count)}\nsorry"}}))
    with engine(server.url) as opened:
        assert one(opened) == Reply(error=f"HTTP {status} from {server.url}: no 3 sorry")
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_tried_again(serve, status):
    server = serve(lambda *_: (status, {"detail": "no"}))
    with engine(server.url) as opened:
        assert one(opened).error.startswith(f"HTTP {status} from {server.url}: no")
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_or_too_slow_is_an_error_in_one_line(serve, at_once):
    with engine("http://127.0.0.1:9/v1", attempts=2) as opened:
        assert one(opened).error.startswith("no answer from http://127.0.0.1:9/v1: ")
    slow = serve(lambda *_: time.sleep(1) or (200, saying()))
    with engine(slow.url, timeout=0.1, attempts=2) as opened:
        assert one(opened).error == f"no answer from {slow.url} in 0.1 s"
    assert len(slow.asked) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"<html>gateway</html>",
        b"",
        [],
        None,
        "text",
        {},
        {"error": {"message": "upstream"}},
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"message": None}]},
        {"choices": ["text"], "usage": "none"},
        {"choices": [{"message": {"content": None, "reasoning_content": "Hm."}}]},
        {"choices": [{"message": {"content": ["Yes"]}}], "usage": {"prompt_tokens": "many"}},
    ],
)
@pytest.mark.parametrize("want", [FIVE, AB, Likelihood("x")])
def test_a_reply_that_is_no_reply_is_an_error(serve, body, want):
    spelled = {"tokens": [1], "count": 1, "max_model_len": 9, "prompt": "Which?"}

    def answer(path, asked):
        if "tokenize" in path:
            texts = {"Which?A": [1, 2], "Which?B": [1, 3]}
            return 200, spelled | {"tokens": texts.get(asked.get("prompt"), [1])}
        return 200, body

    with engine(serve(answer).url) as opened:
        reply = one(opened, asking(want=want))
    assert reply.error
    assert "\n" not in reply.error
    assert len(reply.error) < 500


def test_reasoning_is_not_the_text_but_its_tokens_count(serve):
    message = {"role": "assistant", "content": "[1]", "reasoning_content": "First, [2]..."}
    usage = {"prompt_tokens": 9, "completion_tokens": 40}
    silent = {**message, "content": None}
    choices = iter(
        [
            {"message": message},
            {"message": silent, "finish_reason": "length"},
            {"message": silent, "finish_reason": "stop"},
        ]
    )
    server = serve(lambda *_: (200, {"choices": [next(choices)], "usage": usage}))
    with engine(server.url) as opened:
        assert one(opened) == Reply("[1]", (), Usage(9, 0, 40))
        assert one(opened) == Reply("", (), Usage(9, 0, 40), finished=False)
        assert one(opened) == Reply("", (), Usage(9, 0, 40))


def test_the_key_is_in_no_error_no_name_and_no_journal(serve, tmp_path, at_once):
    server = serve(lambda path, body: (401, {"error": {"message": f"no such key: {KEY}"}}))
    with engine(server.url, api_key=f" {KEY}\n") as opened:
        with pytest.raises(EngineError, match=r"HTTP 401 .* \(is the API key given") as refused:
            opened.check(asking())
        error = one(opened).error
        assert KEY not in f"{error}{refused.value}{opened.name}"
        assert server.asked[-1][1]["authorization"] == f"Bearer {KEY}"
    for spoilt in ({"error": KEY}, f"<p>{'.' * 280}{KEY}".encode()):
        odd = serve(lambda *_, spoilt=spoilt: (200, spoilt))
        with engine(odd.url, api_key=KEY) as opened:
            assert "sk-" not in one(opened).error
    kind = serve(lambda path, body: (200, saying("fine")))
    with engine(kind.url, api_key=KEY) as opened:
        journal = Journal(opened, tmp_path / "journal.db")
        assert one(journal).text == "fine"
        journal.close()
    assert KEY.encode() not in (tmp_path / "journal.db").read_bytes()
    with engine(f"http://user:{KEY}@127.0.0.1:9/v1", attempts=1) as opened:
        assert KEY not in one(opened).error


def test_a_defect_of_ours_is_raised_and_not_waited_for():
    two = Request((Message("user", "a"), Message("user", "b")), FIVE, chat=False)
    with engine("http://127.0.0.1:9/v1") as opened:
        opened.submit(0, two)
        with pytest.raises(ValueError, match="too many values"):
            opened.poll()
        assert list(opened.poll()) == []


def test_a_key_that_an_answer_says_by_chance_stays_in_it(serve):
    """It was blotted out, in the names of fields, too."""
    server = serve(lambda *_: (200, saying("a token")))
    with engine(server.url, api_key="token") as opened:
        assert one(opened) == Reply("a token", usage=Usage(9, 0, 1))


def test_a_try_ends_when_its_time_is_over_however_much_has_come(serve):
    """A server that went on byte by byte was waited for."""
    server, started = serve(lambda *_: (200, saying())), time.monotonic()
    server.pause = 0.05
    with engine(server.url, timeout=0.5, attempts=1) as opened:
        assert "in 0.5 s" in one(opened).error
    assert time.monotonic() - started < 4


def test_a_date_without_a_zone_is_of_greenwich(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert 58 < connection.retry_after(time.asctime(time.gmtime(time.time() + 60))) <= 60
    finally:
        monkeypatch.undo()
        time.tzset()
