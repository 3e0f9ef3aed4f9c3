"""The HTTP engine against servers that fail in every way, and against a real vLLM."""

import asyncio
import json
import re
import threading
import time
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import fsum

import pytest
import tenacity

from rerank.engines import NOBODY, LabelError
from rerank.engines.http import HTTP
from rerank.engines.journal import Journal
from rerank.engines.remote import connection
from rerank.engines.tokenisation.tokens import Tokens
from rerank.errors import EngineError, UsageError
from rerank.records import Usage
from rerank.wants import Labels, Likelihood, Message, Pair, Reply, Request, Text

KEY = "sk-secret-0123456789"
FIVE = Text(5)
AB = Labels(("A", "B"))


class Scripted(ThreadingHTTPServer):
    """A server that answers what a function says, and keeps what it was asked."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Answering)
        self.answer, self.lock = answer, threading.Lock()
        self.asked, self.connections, self.at_once, self.most_at_once = [], 0, 0, 0
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def bodies(self, path="/v1/chat/completions"):
        return [body for asked, _, body in self.asked if asked == path]

    def handle_error(self, request, client_address):
        """A client that closes its connection is what some tests are about."""


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with self.server.lock:
            parsed = json.loads(body) if body else None
            self.server.asked.append((self.path, dict(self.headers), parsed))
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        status, answer, *headers = self.server.answer(self.path, parsed)
        with self.server.lock:
            self.server.at_once -= 1
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in dict(*headers, **{"content-length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """A function that starts a scripted server and gives it back."""
    with ExitStack() as stack:

        def start(answer):
            server = Scripted(answer)
            threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return server

        yield start


@contextmanager
def engine(url, **options):
    opened = HTTP(options.pop("model", "tiny"), url, **{"attempts": 3, "timeout": 10, **options})
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def at_once(monkeypatch):
    """Retries without waiting."""
    monkeypatch.setattr(connection, "BACK_OFF", tenacity.wait_none())


def saying(text="Yes", finish="stop", **usage):
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1, **usage}}


def asking(text="Which?", want=FIVE, **rest):
    return Request((Message("user", text),), want, **rest)


def one(opened, request=None):
    opened.submit("ticket", request or asking())
    [(ticket, reply)] = opened.poll()
    assert ticket == "ticket"
    return reply


def all_of(opened, requests):
    for ticket, request in enumerate(requests):
        opened.submit(ticket, request)
    replies = {}
    while len(replies) < len(requests):
        replies.update(opened.poll())
    return replies


# Texts.


def test_a_chat_is_asked_for_text_and_nothing_else(serve):
    details = {
        "prompt_tokens": 30,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 16},
    }
    server = serve(lambda *_: (200, saying("[2] > [1]", "length", **details)))
    request = Request((Message("system", "Rank."), Message("user", "a\ud800b")), Text(50, ("\n",)))
    with engine(server.url, api_key=KEY) as opened:
        assert one(opened, request) == Reply("[2] > [1]", (), Usage(30, 16, 4), finished=False)
    [(path, headers, body)] = server.asked
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Rank."},
            {"role": "user", "content": "a\ud800b"},
        ],
        "max_tokens": 50,
        "temperature": 0.0,
        "stop": ["\n"],
    }


def test_a_raw_prompt_goes_to_completions_with_its_prefill(serve):
    choice = {"text": " yes", "finish_reason": "stop"}
    server = serve(lambda *_: (200, {"choices": [choice]}))
    with engine(server.url) as opened:
        assert one(opened, asking("Q?", chat=False, prefill="\nA:")) == Reply(" yes")
    body = {"model": "tiny", "prompt": "Q?\nA:", "max_tokens": 5, "temperature": 0.0}
    assert server.bodies("/v1/completions") == [body]


def test_a_seed_is_sent_with_a_temperature_only(serve):
    server = serve(lambda *_: (200, saying()))
    with engine(server.url) as opened:
        one(opened, asking(want=Text(5, seed=7)))
        one(opened, asking(want=Text(5, temperature=0.7, seed=7)))
    cold, warm = server.bodies()
    assert "seed" not in cold
    assert (warm["temperature"], warm["seed"]) == (0.7, 7)


def test_options_reach_the_server_and_the_name(serve):
    server = serve(lambda *_: (200, saying()))
    template, extra = {"enable_thinking": False}, {"top_p": 0.9, "temperature": 1}
    with engine(server.url, chat_template_options=template, extra_body=extra) as opened:
        one(opened)
        names = {opened.name}
    [body] = server.bodies()
    assert body["chat_template_kwargs"] == template
    assert (body["top_p"], body["temperature"]) == (0.9, 1)
    for options in ({}, {"chat_template_options": template}, {"extra_body": extra}):
        with engine("http://127.0.0.1:1/v1", **options) as opened:
            names.add(opened.name)
    assert len(names) == 4
    with engine("https://elsewhere.example/api/v1", api_key=KEY) as opened:
        assert opened.name in names


def test_a_newer_openai_model_gets_its_own_name_for_the_limit(serve):
    def answer(path, body):
        if "max_tokens" in (body or ()):
            said = "Unsupported parameter: 'max_tokens' is not supported with this model."
            hint = "Use 'max_completion_tokens' instead."
            return 400, {"error": {"message": f"{said} {hint}", "code": "unsupported_parameter"}}
        return 200, saying()

    server = serve(answer)
    with engine(server.url) as opened:
        opened.check(asking())
        replies = all_of(opened, [asking()] * 5)
    assert {reply.text for reply in replies.values()} == {"Yes"}
    limits = [body.get("max_completion_tokens") for body in server.bodies()]
    assert limits == [None, 5, 5, 5, 5, 5, 5]


# Failures.


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


# Prompts that are too long.


@pytest.mark.parametrize(
    ("status", "message", "excess"),
    [
        # an older vLLM; OpenAI; its older models, which count the reply too
        (400, "'max_tokens' is too large: 5. This model's maximum context length is 2048 tokens"
         " and your request has 2060 input tokens", 17),
        (400, "This model's maximum context length is 8192 tokens. However, your messages"
         " resulted in 9000 tokens.", 813),
        (400, "This model's maximum context length is 4097 tokens. However, you requested 4200"
         " tokens (4195 in the messages, 5 in the completion).", 103),
        # vLLM stops counting at the limit; llama.cpp counts beside its message; a proxy
        (400, "This model's maximum context length is 2048 tokens. However, your prompt contains"
         " at least 2049 input tokens", 1000),
        (400, "the request exceeds the available context size, try increasing it", 1000),
        (413, "prompt is too long", 1000),
    ],
)  # fmt: skip
def test_a_prompt_that_is_too_long_says_by_how_much(serve, status, message, excess):
    def answer(path, _):
        missing = 404, {"detail": "Not Found"}
        return missing if path == "/tokenize" else (status, {"error": {"message": message}})

    with engine(serve(answer).url) as opened:
        assert one(opened, asking("x" * 16000)) == Reply(overflow=excess)


def test_the_servers_own_tokenizer_counts_what_its_message_does_not(serve):
    def answer(path, _):
        if path == "/tokenize":
            return 200, {"count": 3000, "max_model_len": 2048, "tokens": [1] * 3000}
        said = "This model's maximum context length is 2048 tokens. However, your prompt contains"
        return 400, {"error": {"message": f"{said} at least 2049 input tokens"}}

    with engine(serve(answer).url) as opened:
        assert one(opened) == Reply(overflow=3000 + 5 - 2048)
        assert one(opened, asking(want=Labels(("A",)))).overflow == 3000 + 1 - 2048
        opened.check(asking())


# Many at once.


def test_no_more_than_asked_are_out_at_once(serve):
    server = serve(lambda *_: time.sleep(0.02) or (200, saying()))
    with engine(server.url, concurrency=5) as opened:
        replies = all_of(opened, [asking()] * 60)
    assert {reply.text for reply in replies.values()} == {"Yes"}
    assert server.most_at_once == 5


@pytest.mark.slow
def test_thousands_of_requests_share_a_few_connections(serve):
    server = serve(lambda _, body: (200, saying(body["messages"][0]["content"])))
    with engine(server.url, concurrency=16) as opened:
        replies = all_of(opened, [asking(str(i)) for i in range(2000)])
    assert all(reply.text == str(ticket) for ticket, reply in replies.items())
    assert server.connections <= 16
    assert len(server.asked) == 2000


def test_it_works_inside_an_event_loop(serve):
    server = serve(lambda *_: (200, saying()))

    async def caller():
        with engine(server.url) as opened:
            opened.check(asking())
            return one(opened).text

    assert asyncio.run(caller()) == "Yes"


def test_closing_does_not_wait_for_what_is_out(serve):
    server = serve(lambda *_: time.sleep(5) or (200, saying()))
    opened = HTTP("tiny", server.url, concurrency=4)
    for ticket in range(100):
        opened.submit(ticket, asking())
    while len(server.asked) < 4:
        time.sleep(0.01)
    started = time.monotonic()
    opened.close()
    opened.close()
    assert list(opened.poll()) == []
    assert time.monotonic() - started < 2


def test_what_is_cancelled_is_hung_up_and_its_place_is_free(serve):
    server = serve(lambda _, body: time.sleep(5 * (body["max_tokens"] == 7)) or (200, saying()))
    with engine(server.url, concurrency=2) as opened:
        for ticket in range(4):
            opened.submit(ticket, asking(want=Text(7)))
        while len(server.asked) < 2:
            time.sleep(0.01)
        started = time.monotonic()
        opened.cancel(range(4))
        opened.submit("wanted", asking())
        found = {}
        while "wanted" not in found:
            found.update(opened.poll())
        assert found["wanted"].text == "Yes" and time.monotonic() - started < 2
        opened.cancel(["wanted", "never asked"])


def test_a_wait_ends_when_it_is_woken(serve):
    server = serve(lambda *_: time.sleep(5) or (200, saying()))
    with engine(server.url) as opened:
        opened.submit(0, asking())
        threading.Timer(0.05, opened.wake).start()
        started = time.monotonic()
        assert [ticket for ticket, _ in opened.poll()] == [NOBODY]
        assert time.monotonic() - started < 2


def test_with_nothing_out_there_is_nothing_to_wait_for():
    with engine("http://127.0.0.1:9/v1") as opened:
        assert list(opened.poll()) == []


# Several servers.


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


def listing(*models):
    return {"data": [{"id": model} for model in models]}


def checked(url, request=None, **options):
    with engine(url, **options) as opened:
        opened.check(request or asking())


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


# Labels.


class Speller:
    """Answers as vLLM does, over tokens that are letters, control tokens, or "[A" if merged."""

    def __init__(self, *, ids=True, tokenizes=True, merges=False, continues=True, top=20, **scores):
        self.ids, self.tokenizes, self.continues, self.top = ids, tokenizes, continues, top
        self.scores = scores or {"A": -0.5, "B": -1.5}
        self.pattern = r"<\w+>|\[A|." if merges else r"<\w+>|."
        self.words = []

    def __call__(self, path, body):
        if path == "/v1/models":
            return 200, listing("tiny")
        if path in ("/tokenize", "/detokenize"):
            return self.spelled(path, body) if self.tokenizes else (404, {"detail": "Not Found"})
        asked = body["top_logprobs"] if "chat" in path else body["logprobs"]
        if asked > self.top:
            return 400, {"error": {"message": f"top_logprobs: at most {self.top}"}}
        return 200, self.completion("chat" in path, body, asked)

    def spelled(self, path, body):
        if path == "/detokenize":
            return 200, {"prompt": "".join(self.words[token] for token in body["tokens"])}
        tokens = self.encode(self.read(body))
        return 200, {"tokens": tokens, "count": len(tokens), "max_model_len": 99}

    def completion(self, chat, body, asked):
        wanted = body.get("logprob_token_ids", []) if self.ids else []
        found = {f"token_id:{token}": self.scores[self.words[token]] for token in wanted}
        found = found or dict(sorted(self.scores.items(), key=lambda item: -item[1])[:asked])
        top = [{"token": token, "logprob": score} for token, score in found.items()]
        logprobs = {"content": [{"top_logprobs": top}]} if chat else {"top_logprobs": [found]}
        usage = {"prompt_tokens": len(self.encode(self.read(body))), "completion_tokens": 1}
        return {"choices": [{"logprobs": logprobs, "finish_reason": "length"}], "usage": usage}

    def read(self, body):
        if "prompt" in body:
            return body["prompt"]
        *messages, last = [
            f"<{message['role']}>{message['content']}" for message in body["messages"]
        ]
        if not body.get("continue_final_message"):
            return "".join([*messages, last, "<assistant>"])
        return "".join([*messages, last if self.continues else last.rstrip() + "<end>"])

    def encode(self, text):
        found = re.findall(self.pattern, text, re.S)
        self.words += [word for word in dict.fromkeys(found) if word not in self.words]
        return [self.words.index(word) for word in found]


@pytest.mark.parametrize(
    "request_", [asking(want=AB), asking(want=AB, prefill="["), asking(want=AB, chat=False)]
)
def test_labels_are_scored_by_the_ids_that_the_server_spells(serve, request_):
    server = serve(Speller())
    with engine(server.url) as opened:
        opened.check(request_)
        spelled = len(server.bodies("/tokenize"))
        assert one(opened, request_).scores == (-0.5, -1.5)
        assert len(server.bodies("/tokenize")) == spelled
    [body, _] = server.bodies() or server.bodies("/v1/completions")
    assert len(body["logprob_token_ids"]) == 2
    assert (body["max_tokens"], body["temperature"]) == (1, 0.0)
    assert "seed" not in body


def test_a_merged_bracket_and_letter_is_a_label_error(serve):
    server = serve(Speller(merges=True))
    with pytest.raises(
        LabelError, match=r"label 'A' is not one token of its own after '<assistant>\['"
    ):
        checked(server.url, asking(want=AB, prefill="["))
    checked(server.url, asking(want=AB))


def test_a_template_that_ends_the_started_reply_is_refused(serve):
    server = serve(Speller(continues=False))
    for want in (FIVE, AB, Likelihood("yes")):
        with pytest.raises(EngineError, match=r"the chat template does not go on with '\["):
            checked(server.url, asking(want=want, prefill="["))


def test_without_a_tokenizer_only_plain_chats_are_scored(serve):
    server = serve(Speller(tokenizes=False, ids=False))
    checked(server.url, asking(want=AB))
    for request in (
        asking(want=AB, prefill="["),
        asking(want=FIVE, prefill="["),
        asking(want=AB, chat=False),
        asking(want=Likelihood("yes")),
    ):
        with pytest.raises(EngineError, match="does not show how it spells a prompt"):
            checked(server.url, request)


@pytest.mark.parametrize("tokenizes", [True, False])
def test_a_server_that_ignores_the_ids_is_read_from_its_most_probable_tokens(serve, tokenizes):
    server = serve(Speller(ids=False, tokenizes=tokenizes, top=5, A=-1.0, B=-2.0, C=-0.7))
    with engine(server.url) as opened:
        opened.check(asking(want=AB))
        assert one(opened, asking(want=AB)).scores == (-1.0, -2.0)
        absent = one(opened, asking(want=Labels(("A", "D"))))
    assert absent.error == "label 'D' is not in the log-probabilities that came back"
    assert absent.usage.completion_tokens == 1
    assert server.bodies()[-1]["top_logprobs"] == 5


def test_labels_that_are_not_among_the_most_probable_are_refused(serve):
    others = {f"w{i}": -i / 100 for i in range(25)}
    server = serve(Speller(ids=False, A=-9.0, B=-9.0, **others))
    with pytest.raises(
        EngineError, match=r"cannot score these labels exactly: .*label 'A' is not in"
    ):
        checked(server.url, asking(want=AB))
    with pytest.raises(EngineError, match="cannot score these labels exactly"):
        checked(server.url, asking(want=AB, chat=False))


@pytest.mark.parametrize(
    ("top", "error"),
    [
        ([("A", -1.0), ("A", -2.0), ("B", -1.0)], "label 'A' is twice in"),
        ([("A", -1.0), ("B", -9999.0)], "label 'B' is not in"),
        ([(" A", -1.0), ("B", -1.0)], "label 'A' is not in"),
    ],
)
def test_a_label_is_exactly_one_token_that_was_scored(serve, top, error):
    logprobs = {"content": [{"top_logprobs": [{"token": t, "logprob": s} for t, s in top]}]}
    reply = {"choices": [{"logprobs": logprobs}], "usage": {}}
    server = serve(lambda path, _: (200, reply) if "chat" in path else (404, {}))
    with pytest.raises(EngineError, match=error):
        checked(server.url, asking(want=AB))


def test_a_server_that_reads_another_prompt_than_it_spells_is_refused(serve):
    speller = Speller()

    def answer(path, body):
        status, said = speller(path, body)
        return status, said | ({"usage": {"prompt_tokens": 99}} if "choices" in said else {})

    with pytest.raises(EngineError, match=r"reads 99 tokens where its own tokenizer makes 8"):
        checked(serve(answer).url, asking(want=AB))


# A real server.


CONTEXT = 2048


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A tiny checkpoint with heads of 32 numbers: vLLM's CPU attention knows none of 16."""
    from tiny import checkpoint

    return checkpoint(tmp_path_factory.mktemp("served") / "model", hidden=128, context=CONTEXT)


@pytest.fixture(scope="module")
def vllm_url(tiny_model):
    from servers import openai_server

    with openai_server(tiny_model) as url:
        yield url


@pytest.fixture(scope="module")
def reference(tiny_model):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype="float32").eval()
    return model, Tokens(AutoTokenizer.from_pretrained(tiny_model))


def log_probabilities(model, ids):
    import torch

    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double().log_softmax(-1)


def many(want, **rest):
    """Prompts of many lengths, with letters that are not ASCII."""
    texts = [f"Which of {i} is best? Straße {'passage ' * i}" for i in (0, 3, 40, 150)]
    return [asking(text, want, **rest) for text in texts]


LETTERS = Labels(tuple("ABCDEFGHIJKLMNOPQRST"))


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.parametrize("form", [{}, {"prefill": "["}, {"chat": False, "prefill": "\n"}])
def test_vllm_scores_labels_as_transformers_does(vllm_url, reference, form):
    model, tokens = reference
    requests = many(LETTERS, **form)
    with engine(vllm_url) as opened:
        opened.check(requests[0])
        replies = all_of(opened, requests)
    for ticket, request in enumerate(requests):
        ids, labels = tokens.ids(request), tokens.label_ids(request)
        expected = log_probabilities(model, ids)[-1, list(labels)].tolist()
        assert replies[ticket].scores == pytest.approx(expected, abs=1e-4)
        assert replies[ticket].usage.prompt_tokens == len(ids)


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.parametrize("form", [{}, {"chat": False}, {"prefill": "Best: ["}])
def test_vllm_writes_as_transformers_does(vllm_url, reference, form):
    import torch

    model, tokens = reference
    requests = many(Text(12), **form)
    with engine(vllm_url) as opened:
        opened.check(requests[0])
        replies = all_of(opened, requests)
    for ticket, request in enumerate(requests):
        ids = tokens.ids(request)
        written = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[
            0, len(ids) :
        ]
        text = tokens.tokenizer.decode(written, skip_special_tokens=True)
        assert replies[ticket].text.rstrip("\ufffd") == text.rstrip("\ufffd")
        assert replies[ticket].finished == (len(written) < 12)


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.parametrize("form", [{}, {"chat": False}, {"prefill": "Query:"}])
def test_vllm_weighs_a_continuation_as_transformers_does(vllm_url, reference, form):
    model, tokens = reference
    requests = many(Likelihood(" which passage is best"), **form)
    with engine(vllm_url) as opened:
        opened.check(requests[0])
        replies = all_of(opened, requests)
    for ticket, request in enumerate(requests):
        prefix = tokens.text(request)
        whole = tokens.tokenizer.encode(prefix + " which passage is best", add_special_tokens=False)
        start = len(tokens.ids(request))
        rows = log_probabilities(model, whole)
        expected = fsum(float(rows[i - 1, whole[i]]) for i in range(start, len(whole)))
        assert replies[ticket].scores == pytest.approx((expected,), abs=1e-4)


@pytest.mark.slow
@pytest.mark.vllm
def test_vllm_counts_what_is_too_long(vllm_url, reference):
    """Prompts that are far too long, just too long, exactly the limit, and that fit."""
    _, tokens = reference
    with engine(vllm_url) as opened:
        opened.check(asking())
        for want, written in ((Text(20), 20), (AB, 1)):
            spoken = len(tokens.ids(asking("", want)))
            for letters in (40000, CONTEXT, CONTEXT - spoken, CONTEXT - spoken - written + 1):
                reply = one(opened, asking("[" * letters, want))
                assert reply.overflow == spoken + letters + written - CONTEXT
                assert not reply.error
            fits = one(opened, asking("[" * (CONTEXT - spoken - written), want))
            assert (fits.overflow, fits.error) == (0, "")


@pytest.mark.slow
@pytest.mark.vllm
def test_vllm_answers_hundreds_at_once_from_its_cache(vllm_url):
    shared = "The same words first, then what differs. " * 8
    requests = [asking(f"{shared}{i}", want) for i in range(100) for want in (AB, Text(3))]
    with engine(vllm_url) as opened:
        opened.check(requests[0])
        replies = all_of(opened, requests)
    assert not [reply for reply in replies.values() if reply.error]
    assert sum(reply.usage.cached_tokens > 0 for reply in replies.values()) > 150
    assert all(len(reply.scores) == 2 for ticket, reply in replies.items() if ticket % 2 == 0)


@pytest.mark.slow
@pytest.mark.vllm
def test_vllm_refuses_what_it_cannot_answer_in_one_line(vllm_url):
    with pytest.raises(EngineError, match=r"does not serve 'small'; it serves tiny$"):
        checked(vllm_url, model="small")
    with pytest.raises(LabelError, match="label 'AB' is not one token"):
        checked(vllm_url, asking(want=Labels(("A", "AB"))))
    with pytest.raises(EngineError, match=r"HTTP 404 .* does the base URL end as"):
        checked(vllm_url.removesuffix("/v1"))
