"""Several servers of one model, and what is checked before any of them is asked."""

import time

import pytest
from scripted import all_of, asking, checked, engine, listing, one, saying

from rerank.engines.http import HTTP
from rerank.errors import EngineError, UsageError
from rerank.wants import Pair, Request, Text


def dying(after):
    """Answer so many requests, then close every connection without a word."""
    left = iter(range(after))

    def answer(path, body):
        if next(left, None) is None:
            raise ConnectionAbortedError
        return 200, saying("from the one that dies")

    return answer


def test_the_least_busy_server_is_asked(serve):
    quick = serve(lambda *_: time.sleep(0.005) or (200, saying("quick")))
    slow = serve(lambda *_: time.sleep(0.1) or (200, saying("slow")))
    with engine(f"{slow.url}, {quick.url}", concurrency=4) as opened:
        replies = all_of(opened, [asking(str(i)) for i in range(200)])
    texts = [reply.text for reply in replies.values()]
    assert len(texts) == 200
    assert 4 <= texts.count("slow") < 60 < 140 < texts.count("quick")
    assert quick.most_at_once <= 4 and slow.most_at_once <= 4


def test_every_server_is_checked(serve):
    good, bad = serve(lambda *_: (200, saying())), serve(lambda *_: (200, listing("other")))
    checked(f"{good.url},{good.url}/")
    with pytest.raises(EngineError, match=f"{bad.url} does not serve 'tiny'; it serves other"):
        checked(f"{good.url},{bad.url}")


def test_a_server_that_dies_is_left_out_and_the_others_take_its_requests(serve, at_once, caplog):
    dies, lives = serve(dying(after=10)), serve(lambda *_: (200, saying("from the one that lives")))
    with engine(f"{dies.url},{lives.url}", concurrency=4) as opened:
        replies = all_of(opened, [asking(str(i)) for i in range(100)])
        assert not [reply.error for reply in replies.values() if reply.error]
        assert len(lives.asked) == 90
        asked = len(dies.asked)
        replies = all_of(opened, [asking(str(i)) for i in range(100)])
    assert {reply.text for reply in replies.values()} == {"from the one that lives"}
    assert len(dies.asked) == asked
    [warning] = caplog.messages
    assert warning.startswith(f"{dies.url} is left out: no answer from {dies.url}")


def test_the_error_names_every_server_that_is_gone(serve, at_once):
    servers = [serve(dying(after=0)) for _ in range(3)]
    with engine(",".join(server.url for server in servers)) as opened:
        for _ in range(3):
            error = one(opened).error
            assert [error.count(f"no answer from {server.url}:") for server in servers] == [1] * 3


def test_a_server_that_fails_one_request_keeps_its_share_of_the_others(serve, at_once):
    def answer(path, body):
        if path == "/v1/models":
            return 200, listing("tiny")
        fails = body["messages"][0]["content"] == "odd"
        return (500, {"error": "out of luck"}) if fails else (200, saying())

    first, second = serve(answer), serve(lambda *_: (200, saying("fine")))
    with engine(f"{first.url},{second.url}") as opened:
        assert one(opened, asking("odd")).text == "fine"
        assert one(opened, asking("even")).text == "Yes"


def test_a_request_that_no_server_takes_stops_none_of_them(serve, at_once):
    def answer(path, body):
        return (200, listing("tiny")) if path == "/v1/models" else (503, {"error": "busy"})

    servers = [serve(answer), serve(answer)]
    with engine(f"{servers[0].url},{servers[1].url}") as opened:
        for _ in range(2):
            expected = "; ".join(f"HTTP 503 from {server.url}: busy" for server in servers)
            assert one(opened).error == expected
    assert {len(server.bodies()) for server in servers} == {6}


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "localhost:8000/v1"},
        {"base_url": "http://127.0.0.1:9/v1,"},
        {"base_url": "http://host:port/v1"},
        {"api_key": "sk-\nsecret"},
        {"api_key": "sk-é"},
        {"concurrency": 0},
        {"attempts": 0},
    ],
)
def test_options_that_cannot_work_are_refused(wrong):
    with pytest.raises(UsageError, match=r"^(?!.*sk-)"):
        HTTP(**{"model": "tiny", "base_url": "http://127.0.0.1:9/v1"} | wrong)


# Checks before a run.


def test_a_model_that_the_server_does_not_have_is_refused_with_those_it_has(serve):
    server = serve(lambda *_: (200, listing("Qwen3-8B", "Qwen3-4B", *"abcdef")))
    with pytest.raises(
        EngineError, match=r"does not serve 'Qwen3-9B'; it serves Qwen3-[48]B, .* and 6 more"
    ):
        checked(server.url, model="Qwen3-9B")
    assert [path for path, *_ in server.asked] == ["/v1/models"]


@pytest.mark.parametrize(
    "models", [(200, listing("other", "models/tiny")), (404, {}), (200, []), (200, listing())]
)
def test_a_gateway_that_lists_its_models_oddly_or_not_at_all_will_do(serve, models):
    server = serve(lambda path, _: models if path == "/v1/models" else (200, saying()))
    checked(server.url)
    [body] = server.bodies()
    assert body["max_tokens"] == 5


def test_a_check_lets_a_model_write_a_few_tokens_only(serve):
    reasoning = {"choices": [{"message": {"content": None}}], "usage": {"completion_tokens": 16}}
    server = serve(lambda path, _: (200, listing("tiny") if path == "/v1/models" else reasoning))
    checked(server.url, asking(want=Text(4096)))
    [body] = server.bodies()
    assert body["max_tokens"] == 16


@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions"])
def test_a_refused_key_stops_the_check(serve, path):
    server = serve(
        lambda asked, _: (
            (401, {"error": "Unauthorized"}) if asked == path else (200, listing("tiny"))
        )
    )
    with pytest.raises(EngineError, match=r"HTTP 401 from .*: Unauthorized \(is the API key"):
        checked(server.url)


def test_a_base_url_of_something_else_stops_the_check(serve):
    server = serve(lambda *_: (404, b"<h1>Not Found</h1>"))
    with pytest.raises(EngineError, match=r"HTTP 404 .* does the base URL end as the server's"):
        checked(server.url)


def test_no_server_stops_the_check_at_once():
    started = time.monotonic()
    with pytest.raises(EngineError, match=r"no answer from http://127\.0\.0\.1:9/v1: "):
        checked("http://127.0.0.1:9/v1", attempts=6)
    assert time.monotonic() - started < 2


def test_pairs_are_refused():
    with pytest.raises(EngineError, match="the scorer engine does"):
        checked("http://127.0.0.1:9/v1", Request((), Pair("query", "doc")))
