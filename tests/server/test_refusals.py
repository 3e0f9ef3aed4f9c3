"""Each mistake in a request is named with its own code, before a model reads it."""

import pytest
from asking import DOCS, ORDER, asked, indices
from fakes import ScriptedEngine, counted

from rerank.server.app import RERANK


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        ({"content": b""}, 400, "not JSON"),
        ({"content": b'{"query": '}, 400, "not JSON"),
        ({"content": b"[" * 100_000}, 400, "not JSON"),
        ({"content": b'{"a":' * 100_000}, 400, "not JSON"),
        ({"content": b'{"query": "q"} {'}, 400, "not JSON"),
        ({"content": b'{"query": NaN}'}, 422, "`query`"),
        ({"content": b"\xff\xfe{}"}, 400, "not JSON"),
        ({"json": [1]}, 400, "the body is JSON, but no object"),
        ({"json": asked(documents=[])}, 400, "`documents`"),
        ({"json": {"query": "q", "texts": []}}, 400, "`documents`"),
        ({"json": {"documents": DOCS}}, 422, "`query`"),
        ({"json": asked(query="")}, 422, "`query`"),
        ({"json": asked(query=7)}, 422, "`query`"),
        ({"json": asked(documents=[1, 2])}, 422, "`documents.0"),
        ({"json": asked(documents={"a": 1})}, 422, "`documents"),
        ({"json": asked(documents=[{"body": "x"}])}, 422, "document 0"),
        ({"json": asked(documents=[None])}, 422, "`documents.0"),
        ({"json": asked(top_n=-1)}, 422, "`top_n`"),
        ({"json": asked(max_tokens_per_doc=-1)}, 422, "`max_tokens_per_doc`"),
        ({"json": asked(instruction=["x"])}, 422, "`instruction`"),
        (
            {"json": {"query": "q", "texts": DOCS, "truncation_direction": "Left"}},
            422,
            "`truncation_direction`",
        ),
        ({"json": asked(top_n="many")}, 422, "`top_n`"),
        ({"json": {"query": "q", "passages": [{"text": 1}]}}, 422, "passage 0"),
        ({"content": b"query=q", "headers": {"content-type": "text/plain"}}, 415, "Content-Type"),
        ({"content": b"{}", "headers": {"content-encoding": "gzip"}}, 415, "content-encoding"),
    ],
)
def test_a_mistake_is_named_with_its_own_code(served, sent, status, says):
    if "content" in sent:
        sent = {"headers": {"content-type": "application/json"}, **sent}
    answer = served().post("/v1/rerank", **sent)
    assert answer.status_code == status
    said = answer.json()
    assert says in (said["error"] if isinstance(said["error"], str) else said["message"])


def test_a_refusal_has_what_each_client_looks_for(served):
    client = served()
    said = client.post("/v1/rerank", asked(documents=[])).json()
    assert said["message"] == said["detail"] == said["error"]["message"]
    assert said["error"]["code"] == 400 and said["error"]["type"] == "BadRequestError"
    tei = client.post("/rerank", {"query": "q", "texts": []}).json()
    assert tei == {"error": "`documents` must not be empty", "error_type": "Empty"}


@pytest.mark.parametrize("path", RERANK)
def test_documents_in_the_keys_of_two_dialects_are_refused_in_the_form_of_the_first(served, path):
    """One of the two was dropped, and nobody told."""
    engine = ScriptedEngine(counted)
    client = served(engine=engine)
    answer = client.post(path, asked(texts=["other"]))
    why = "`texts` and `documents` say the same thing; give one of them"
    assert answer.json() == {"error": why, "error_type": "Validation"}
    nim = client.post(path, asked(passages=DOCS, top_k=2))
    assert (answer.status_code, nim.status_code) == (422, 422)
    assert nim.json()["message"].startswith("`passages` and `documents`")
    assert engine.requests == []


def test_one_thing_said_in_two_keys_is_refused_and_null_says_nothing(served):
    client = served()
    twice = client.post("/v1/rerank", asked(instruction="a", instruct="b"))
    pairs = client.post("/score", {"queries": "q", "text_1": "p", "documents": DOCS})
    assert "`instruction` and `instruct`" in twice.json()["message"]
    assert "`queries` and `text_1`" in pairs.json()["message"]
    assert (twice.status_code, pairs.status_code) == (422, 422)
    assert indices(client.post("/v1/rerank", asked(texts=None))) == ORDER


def test_an_unknown_route_is_404_and_a_wrong_method_405(served):
    client = served()
    assert client.get("/v3/rerank").status_code == 404
    answer = client.get("/v1/rerank")
    assert answer.status_code == 405 and answer.json()["error"]["code"] == 405


def test_too_much_is_refused_before_a_model_reads_it(served):
    engine = ScriptedEngine(counted)
    client = served(engine=engine, body=1000, documents=3, characters=20)
    assert client.post(body=asked()).status_code == 422
    assert "document 1 has 21" in client.post(body=asked(documents=["a", "b" * 21])).text
    assert "the query has" in client.post(body=asked(query="q" * 21, documents=["a"])).text
    assert client.post(body=asked(documents=["a" * 2000])).status_code == 413
    pairs = {"queries": ["a", "b", "c", "d"], "documents": ["a", "b", "c", "d"]}
    assert client.post("/score", pairs).status_code == 422
    assert engine.requests == []


def test_a_body_without_a_length_is_read_no_further_than_the_limit(served):
    sent = []

    async def endless():
        while len(sent) < 10_000:
            sent.append(1)
            yield b"x" * 1000

    assert served(body=5000).post("/rerank", content=endless()).status_code == 413
    assert len(sent) < 10


def test_half_a_surrogate_is_replaced_as_a_text_that_was_scraped_may_have_it(served):
    engine = ScriptedEngine(counted)
    body = b'{"query": "sky", "documents": ["sky \\ud83d", "\\ud83d\\ude00 \\\\ud800", "a\\u0000"]}'
    answer = served(engine=engine).post(content=body, headers={"content-type": "application/json"})
    assert indices(answer) == [0, 1, 2]
    assert [request.want.doc for request in engine.requests[:2]] == [
        "sky \ufffd",
        "\U0001f600 \\ud800",
    ]


def test_a_key_is_asked_for_everywhere_but_at_the_door(served):
    client = served(key="s\u00e9cret")
    assert client.get("/health").status_code == 200
    for path in ("/metrics", "/v1/models", "/openapi.json"):
        assert client.get(path).status_code == 401
    for wrong in ({}, {"authorization": "Bearer no"}, {"authorization": "s\u00e9cret".encode()}):
        answer = client.post(json=asked(), headers=wrong)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    right = {"authorization": "Bearer s\u00e9cret".encode()}
    assert indices(client.post(json=asked(), headers=right)) == ORDER
