"""Whatever is slow, failing or too much holds up nobody else, and no log repeats what was asked."""

import asyncio
import json
import logging
import threading
from time import monotonic, sleep

import httpx
from asking import DOCS, ORDER, QUERY, asked, indices
from fakes import ScriptedEngine, counted
from serving import Client

from rerank.server.app import RERANK, Service, application
from rerank.server.dialects import DIALECTS
from rerank.server.metrics import Metrics
from rerank.wants import Reply


class Slow(ScriptedEngine):
    """Answers nothing that asks for the moon, until it is cancelled; `gone` is what was."""

    def __init__(self, reply):
        super().__init__(reply)
        self.gone, self.woken = set(), threading.Event()

    def poll(self):
        ready = [one for one in self.out if "moon" not in one[1].want.query]
        self.out = [one for one in self.out if one not in ready]
        if not ready:
            self.woken.wait(0.05)
            self.woken.clear()
            return [("nobody", Reply())]
        return [(ticket, self.answered(request)) for ticket, request in ready]

    def wake(self):
        self.woken.set()

    def cancel(self, tickets):
        self.gone |= set(tickets)
        self.out = [one for one in self.out if one[0] not in tickets]

    def settled(self, docs=DOCS):
        """All that asked for the moon was cancelled, once the thread for that has come to it."""
        count = len(docs)
        end = monotonic() + 5
        while len(self.gone) < count and monotonic() < end:
            sleep(0.01)
        assert len(self.gone) == count and self.out == []


def test_over_the_bound_comes_429_with_when_to_come_again_and_then_all_is_well(served):
    client = served(engine=Slow(counted), at_once=4, seconds=0.5)
    moons = [("POST", "/rerank", {"json": asked(query="moon")})] * 10
    answers = client.together(*moons)
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 6 and {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert sum(answer.status_code == 504 for answer in answers) == 4
    assert indices(client.post(body=asked())) == ORDER


def test_a_slow_request_holds_nobody_and_costs_nothing_after_its_deadline(served):
    engine = Slow(counted)
    client = served(engine=engine, seconds=0.5)
    moon, *others = client.together(
        ("POST", "/rerank", {"json": asked(query="moon")}),
        *[("POST", "/rerank", {"json": asked()})] * 5,
    )
    assert moon.status_code == 504 and all(indices(answer) == ORDER for answer in others)
    engine.settled()


def test_who_hangs_up_is_not_answered_and_costs_nothing_more(served):
    engine = Slow(counted)
    client = served(engine=engine, seconds=30)

    async def hang_up():
        body, sent = json.dumps(asked(query="moon")).encode(), []
        events = [{"type": "http.request", "body": body}]

        async def receive():
            if events:
                return events.pop()
            await asyncio.sleep(0.2)
            return {"type": "http.disconnect"}

        async def send(event):
            sent.append(event)

        scope = {
            "type": "http", "method": "POST", "path": "/rerank", "headers": [], "query_string": b"",
        }  # fmt: skip
        await client.app(scope, receive, send)
        await asyncio.sleep(0.2)
        return sent

    assert asyncio.run(hang_up())[0]["status"] == 499
    engine.settled()


def test_an_engine_that_fails_is_503_in_the_dialect_and_health_says_so_until_it_recovers(served):
    def moody(request):
        if "moon" in request.want.query:
            return Reply(error="out of order")
        return counted(request)

    client = served(moody)
    failed = client.post(body={"query": "moon", "texts": DOCS})
    assert failed.status_code == 503 and failed.json()["error_type"] == "Backend"
    assert client.get("/health").status_code == 503
    assert indices(client.post(body=asked())) == ORDER
    assert client.get("/health").json() == {"status": "ok"}


def test_once_a_query_of_a_request_has_failed_its_others_cost_nothing_more(served):
    def failing(request):
        return Reply(error="oops") if request.want.query == "bad" else counted(request)

    engine = Slow(failing)
    transport = httpx.ASGITransport(served(engine=engine).app)

    async def ask():
        pairs = {"queries": ["moon", "bad"], "documents": DOCS[:2]}
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            answer = await client.post("/score", json=pairs)
        await asyncio.to_thread(engine.settled, DOCS[:1])
        return answer.status_code

    assert asyncio.run(ask()) == 503


def test_with_fallback_the_old_order_comes_back_and_is_marked(served):
    client = served(lambda request: Reply(error="out of order"), on_error="keep")
    answer = client.post(body=asked())
    assert indices(answer) == [0, 1, 2, 3]
    assert answer.headers["x-rerank-status"] == "fallback"
    assert any("fallback" in warning for warning in answer.json()["meta"]["warnings"])
    assert client.post("/score", {"queries": "q", "documents": DOCS}).status_code == 503


def test_a_defect_is_500_in_json_and_its_log_repeats_no_document(served, caplog):
    class Broken:
        async def arerank(self, query, documents, top_n=None, **said):
            raise KeyError(documents[0])

    client = Client(application(Service(Broken(), "m")))
    with caplog.at_level(logging.DEBUG):
        answer = client.post(body=asked())
    assert answer.status_code == 500 and "message" in answer.json()
    assert "KeyError" in caplog.text and DOCS[0] not in caplog.text + answer.text


def test_no_log_repeats_what_was_asked(served, caplog):
    with caplog.at_level(logging.DEBUG):
        client = served(lambda request: Reply(error="no"))
        client.post(body=asked())
        client.post(body=asked(documents=[{"x": "fish swim"}]))
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("rerank")]
    assert ours and not any(text in line for line in ours for text in [*DOCS, QUERY])


def test_models_metrics_and_openapi_are_there(served):
    client = served()
    client.post(body=asked())
    client.post(body=asked(documents=[]))
    assert client.get("/v1/models").json()["data"][0]["id"] == "our-model"
    lines = client.get("/metrics").text.splitlines()
    assert 'rerank_requests_total{route="/rerank",status="200"} 1' in lines
    assert 'rerank_requests_total{route="/rerank",status="400"} 1' in lines
    assert "rerank_documents_total 4" in lines and "rerank_calls_total 4" in lines
    assert 'rerank_answers_total{status="ok"} 4' in lines
    document = client.get("/openapi.json").json()
    assert {*RERANK, "/score", "/v1/score", "/v1/models", "/health"} <= document["paths"].keys()
    assert {row.request.__name__ for row in DIALECTS} <= document["components"]["schemas"].keys()


def test_the_histogram_counts_every_request_in_rising_buckets():
    metrics = Metrics()
    for seconds in (0.001, 0.005, 0.3, 1000.0):
        metrics.answered("/rerank", 200, seconds)
    lines = metrics.text(0).splitlines()
    buckets = [int(line.split()[-1]) for line in lines if "_bucket" in line]
    assert buckets == sorted(buckets) and buckets[0] == 2 and buckets[-1] == 4
    assert 'rerank_request_seconds_count{route="/rerank"} 4' in lines
