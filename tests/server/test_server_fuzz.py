"""Ten thousand requests that no client should send: each is answered, and none with a 500.

The judge is an engine that answers at once, so that all of it is the server's. What schemathesis
makes of the OpenAPI document and what hypothesis makes up goes through ASGI; what is odd below
HTTP goes through a socket.
"""

import json
import socket
import threading
import time
from collections import Counter
from contextlib import closing
from typing import Union

import pytest
import uvicorn
from fakes import ScriptedEngine
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from serving import Client

from rerank import Reranker
from rerank.passages import first_words
from rerank.server.answers import Refusal, Scores, TEIRefusal
from rerank.server.app import RERANK, SCORE, Service, application
from rerank.server.dialects import DIALECTS
from rerank.server.limits import Limits
from rerank.server.openapi import document
from rerank.wants import Reply

pytestmark = pytest.mark.slow

SEEN: Counter = Counter()
EXPECTED = {200, 400, 404, 405, 408, 413, 415, 422}
SAID = TypeAdapter(Union[(*(row.answer for row in DIALECTS), Scores)])
REFUSED = TypeAdapter(Refusal | TEIRefusal)
PATHS = (*RERANK, *SCORE)
JSON = {"content-type": "application/json"}


def often(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def length(request):
    return Reply(scores=(float(len(request.want.doc) % 7),))


@pytest.fixture(scope="module")
def app():
    """A server of the real judge and an engine that answers at once."""
    with pytest.MonkeyPatch.context() as patch:
        engine = ScriptedEngine(length)
        engine.cut = first_words
        patch.setattr("rerank.library.reranker.open_engine", lambda *_: engine)
        with Reranker("any", method="scorer") as reranker:
            limits = Limits(body=32 * 2**20, documents=50, characters=12 * 2**20, seconds=20)
            yield application(Service(reranker, "fast", limits))


def send(app, *asked):
    """All of them at once; every answer has a code that it may have, and that code's form."""
    begun = time.monotonic()
    for answer in Client(app).together(*asked):
        SEEN[answer.status_code] += 1
        assert answer.status_code in EXPECTED, (answer.status_code, answer.text[:300])
        if answer.request.url.path in PATHS and answer.request.method == "POST":
            (SAID if answer.status_code == 200 else REFUSED).validate_json(answer.content)
    assert time.monotonic() - begun < 30


def operation(path, method):
    """What schemathesis reads of our document; it takes seconds to import."""
    import schemathesis

    found = schemathesis.openapi.from_dict(document(RERANK, SCORE)).get_all_operations()
    [one] = [it.ok() for it in found if (it.ok().path, it.ok().method) == (path, method)]
    return one


OPERATIONS = [
    (path, method, mode)
    for path, item in document(RERANK, SCORE)["paths"].items()
    for method in item
    for mode in (("positive",) if method == "get" else ("positive", "negative"))
]


@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS)
def test_what_schemathesis_makes_of_our_document(app, path, method, mode):
    from schemathesis import GenerationMode

    @often(100 if method == "post" else 5)
    @given(operation(path, method).as_strategy(generation_mode=GenerationMode(mode)))
    def asked(case):
        body = case.body if isinstance(case.body, bytes) else json.dumps(case.body, default=str)
        headers = {"content-type": case.media_type or "application/json"}
        send(app, (case.method, case.path, {"content": body, "headers": headers}))

    asked()


texts = st.text(max_size=30) | st.sampled_from(["", " ", "\x00", "\x1b[2J", "\u202e", "<|im_end|>"])
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
documents = st.lists(texts | st.fixed_dictionaries({"text": texts}) | junk, max_size=8)
numbers = st.integers(-2, 60) | st.sampled_from([10**30, -(10**30), 1.5, "3", True, None])
KEYS = {
    "query": texts | st.fixed_dictionaries({"text": texts}) | junk,
    "queries": texts | st.lists(texts, max_size=8) | junk,
    **dict.fromkeys(("documents", "texts", "passages"), documents | texts | junk),
    **dict.fromkeys(("top_n", "top_k"), numbers | junk),
    **dict.fromkeys(("return_documents", "raw_scores", "return_text"), st.booleans() | junk),
    "rank_fields": st.lists(st.sampled_from(["text", "title", ""]), max_size=3) | junk,
    "model": texts | junk,
}


def with_more(**fixed):
    more = {key: value for key, value in KEYS.items() if key not in fixed}
    return st.fixed_dictionaries(fixed, optional=more)


valid = st.fixed_dictionaries(
    {"query": st.text(min_size=1), "documents": st.lists(texts, min_size=1, max_size=20)},
    optional={"top_n": st.integers(0, 30), "return_documents": st.booleans(), "model": texts},
)
bodies = st.one_of(
    valid,
    valid.map(lambda body: {"queries": body["query"], "documents": body["documents"]} | body),
    with_more(query=texts, documents=documents),
    with_more(query=texts, texts=st.lists(texts, max_size=8)),
    with_more(query=texts, passages=documents),
    with_more(queries=texts, documents=st.lists(texts)),
    with_more(),
    junk,
)


def to_each_kind(app, *contents):
    """A rerank and a score of each."""
    paths = ("/v1/rerank", "/score")
    send(app, *(("POST", p, {"content": c, "headers": JSON}) for c in contents for p in paths))


@often(450)
@given(st.lists(bodies, min_size=8, max_size=8))
def test_bodies_of_any_shape(app, shapes):
    to_each_kind(app, *(json.dumps(body).encode() for body in shapes))


@st.composite
def spoilt(draw):
    """Valid JSON with a piece cut out, doubled or overwritten."""
    whole = json.dumps(draw(bodies), ensure_ascii=draw(st.booleans())).encode()
    at, to = sorted(draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    piece = draw(st.sampled_from([b"", whole[at:to] * 2]) | st.binary(max_size=8))
    return whole[:at] + piece + whole[to:]


@often(100)
@given(st.lists(spoilt(), min_size=8, max_size=8))
def test_bodies_that_are_broken(app, contents):
    to_each_kind(app, *contents)


@often(30)
@given(st.lists(st.tuples(st.text("GETPOSTHEADPUT", min_size=1, max_size=7), st.text(max_size=12))))
def test_methods_and_paths_that_are_not_there(app, asked):
    send(app, *((method, f"/{path.encode().hex()}", {}) for method, path in asked))


LARGE = [
    json.dumps({"query": "q", "documents": ["x" * 10_000_000, "y"]}).encode(),
    json.dumps({"query": "x" * 10_000_000, "texts": ["y"]}).encode(),
    json.dumps({"query": "q", "documents": ["\x00" * 1_000_000] * 3}).encode(),
    json.dumps({"query": "q", "documents": ["x"] * 100_000}).encode(),
    json.dumps({"query": "q", "documents": ["y"], "z" * 9_000_000: 1}).encode(),
    json.dumps({f"key{i}": i for i in range(200_000)}).encode(),
    b'{"query": "q", "documents": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
    b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_000,
    b'{"query": "q", "top_n": ' + b"9" * 1_000_000 + b', "documents": ["a"]}',
    b'{"query": "q", "documents": ["a"]' + b" " * 20_000_000 + b"}",
    b'"' + b"\\ud800" * 1_000_000 + b'"',
    b"x" * 40_000_000,
]


@pytest.mark.parametrize("body", LARGE, ids=range(len(LARGE)))
@pytest.mark.parametrize("path", ["/v1/rerank", "/score"])
def test_bodies_that_are_enormous_or_deep(app, path, body):
    send(app, ("POST", path, {"content": body, "headers": JSON}))


@pytest.fixture(scope="module")
def port(app):
    """The same application behind a real socket."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical"))
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


GOOD = b'{"query": "q", "documents": ["a", "b"]}'
HEAD = b"POST /rerank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
SIZED = HEAD + b"content-length: %d\r\n\r\n" % len(GOOD)
ODD = [
    SIZED + GOOD,
    SIZED + GOOD[:10],
    SIZED + GOOD + SIZED + GOOD,
    SIZED + GOOD + b"rubbish after it",
    HEAD + b"content-length: -1\r\n\r\n" + GOOD,
    HEAD + b"content-length: 99999999999999999999\r\n\r\n" + GOOD,
    HEAD + b"content-length: \xb2\r\n\r\n" + GOOD,
    HEAD + b"content-length: 3\r\ncontent-length: 39\r\n\r\n" + GOOD,
    HEAD + b"transfer-encoding: chunked\r\n\r\n27\r\n" + GOOD + b"\r\n0\r\n\r\n",
    HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n" + GOOD,
    HEAD + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n27\r\n" + GOOD,
    HEAD + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(GOOD) + GOOD,
    HEAD + b"authorization: Bearer \xff\xfe\r\n\r\n",
    HEAD + b"x: " + b"y" * 100_000 + b"\r\n\r\n",
    b"POST /rerank HTTP/1.0\r\n\r\n" + GOOD,
    b"POST /rerank HTTP/9.9\r\n\r\n" + GOOD,
    b"POST /%00%ff/../rerank?\x01 HTTP/1.1\r\n\r\n",
    b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    HEAD + b"content-length: 40000000\r\n\r\n" + b"x" * 40_000_000,
    b"\x00" * 1000,
    b"",
]


def exchange(port, sent, patience=0.4):
    """What comes back, until nothing more does for a while."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as connection:
        connection.settimeout(patience)
        said = b""
        try:
            connection.sendall(sent)
            while piece := connection.recv(65536):
                said += piece
        except OSError:
            pass  # it hung up on us, or has no more to say
        return said


def still_answers(port):
    return exchange(port, SIZED.replace(b"host", b"connection: close\r\nhost") + GOOD, 10)


@pytest.mark.parametrize("sent", ODD, ids=range(len(ODD)))
def test_what_is_odd_below_http_harms_nobody(port, sent):
    said = exchange(port, sent)
    SEEN[int(said.split()[1]) if said.startswith(b"HTTP") else "hung up"] += 1
    assert b" 500 " not in said.split(b"\r\n")[0]
    assert still_answers(port).startswith(b"HTTP/1.1 200")


def test_connections_that_send_nothing_more_hold_up_nobody(port):
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    for connection in idle:
        connection.sendall(SIZED + GOOD[:10])
    begun = time.monotonic()
    assert still_answers(port).startswith(b"HTTP/1.1 200")
    assert time.monotonic() - begun < 5
    for connection in idle:
        connection.close()


def test_it_were_ten_thousand_and_the_server_still_answers(app):
    print(f"\n{SEEN.total()} requests: {dict(SEEN)}")
    assert SEEN.total() >= 10_000 and not {status for status in SEEN if str(status)[0] == "5"}
    [answer] = Client(app).together(("POST", "/rerank", {"content": GOOD, "headers": JSON}))
    assert answer.status_code == 200
