"""What a query leaves in a trace and in the log: names that others read, and no text in a log."""

import asyncio
import logging
import subprocess
import sys

import pytest
from fakes import ScriptedEngine
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rerank import EngineError, Reranker
from rerank.library import tracing
from rerank.wants import Reply

DOCS = [{"id": "a", "text": "sea"}, {"id": "b", "text": "sky sky"}, "sky"]


def counted(request):
    if "broken" in request.want.doc:
        return Reply(error="HTTP 500")
    return Reply(scores=(float(request.want.doc.count("sky")),))


@pytest.fixture
def reranker(monkeypatch):
    monkeypatch.setattr("rerank.library.reranker.open_engine", lambda *_: ScriptedEngine(counted))
    with Reranker("any", method="scorer") as opened:
        yield opened


@pytest.fixture
def spans(monkeypatch):
    """Every span that ends, and a tracer to be inside of."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    monkeypatch.setattr(tracing, "_tracer", lambda: tracer)
    exporter.tracer = tracer
    return exporter


def test_a_query_is_a_span_with_the_names_of_openinference(reranker, spans):
    reranker.rerank("sky", DOCS, top_n=2)
    [span] = spans.get_finished_spans()
    said = dict(span.attributes)
    assert said["openinference.span.kind"] == "RERANKER"
    assert (said["reranker.model_name"], said["reranker.query"]) == ("any", "sky")
    assert said["reranker.top_k"] == 2
    documents = "reranker.{}_documents.{}.document.{}"
    assert said[documents.format("input", 0, "id")] == "a"
    assert said[documents.format("input", 2, "content")] == "sky"
    assert said[documents.format("output", 0, "id")] == "b"
    assert said[documents.format("output", 0, "score")] == 2.0
    assert documents.format("output", 2, "id") not in said
    assert (said["rerank.calls"], said["rerank.status"]) == (3, "ok")
    assert said["llm.token_count.prompt"] == 0


def test_the_span_is_a_child_of_the_callers_in_threads_and_tasks(reranker, spans):
    async def awaited():
        with spans.tracer.start_as_current_span("task"):
            await reranker.arerank("sky", DOCS)

    with spans.tracer.start_as_current_span("request"):
        reranker.rerank_many([("sky", DOCS)] * 2)
    asyncio.run(awaited())
    found = spans.get_finished_spans()
    names = {span.context.span_id: span.name for span in found}
    parents = [names[span.parent.span_id] for span in found if span.name == "rerank"]
    assert parents == ["request", "request", "task"]


def test_a_query_that_failed_says_so(reranker, spans):
    with pytest.raises(EngineError):
        reranker.rerank("sky", ["broken"])
    [span] = spans.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description == "HTTP 500"


def test_the_log_has_sizes_and_costs_and_no_text(reranker, caplog):
    with caplog.at_level(logging.DEBUG, logger="rerank"):
        reranker.rerank("sky secret", DOCS, top_n=1)
    [record] = [one for one in caplog.records if hasattr(one, "rerank_model")]
    assert record.getMessage() == "reranked 3 documents: ok"
    assert (record.rerank_method, record.rerank_calls, record.rerank_top_n) == ("scorer", 3, 1)
    assert record.rerank_seconds >= 0
    assert "secret" not in str(vars(record)) and "sea" not in str(vars(record))


def test_nobody_who_listens_costs_nothing_and_hears_nothing(reranker, capfd):
    reranker.rerank("sky", DOCS)
    assert capfd.readouterr() == ("", "")


def test_without_opentelemetry_everything_works():
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from rerank.library import tracing; print(tracing._tracer())"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == "None\n"
