"""The HTTP engine: what it asks of a server, and many requests at once."""

import asyncio
import threading
import time

import pytest
from scripted import KEY, all_of, asking, engine, one, saying

from rerank.engines import NOBODY
from rerank.engines.http import HTTP
from rerank.records import Usage
from rerank.wants import Labels, Message, Reply, Request, Text


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
