"""Each query as a span and as a line of the log, for whoever listens.

Spans are OpenTelemetry's with OpenInference's names for a reranker; without the package, or without
a provider that records, they cost nothing. The log says sizes and costs, never a text.
"""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from functools import lru_cache, partial
from time import perf_counter, time_ns
from typing import Any, NamedTuple

from rerank.library.dispatch import Driven, Ended
from rerank.library.documents import id_of
from rerank.library.ranking import Given, ranking_of

LOG = logging.getLogger(__name__)


class Watched(NamedTuple):
    """A query that is on its way, and since when."""

    given: Given
    about: dict[str, Any]
    span: Any
    begun: float


def watch(given: Given, model: str, method: str, top_n: int | None) -> Ended:
    """Begin a query's span, a child of what the caller is in; call the result at its end."""
    about = {"model": model, "method": method, "documents": len(given.docs), "top_n": top_n}
    span = _started(given, model, top_n)
    return partial(_ended, Watched(given, about, span, perf_counter()))


def _started(given: Given, model: str, top_n: int | None) -> Any:
    tracer = _tracer()
    span = tracer.start_span("rerank", start_time=time_ns()) if tracer else None
    if span is None or not span.is_recording():
        return None
    span.set_attributes(
        {
            "openinference.span.kind": "RERANKER",
            "reranker.model_name": model,
            "reranker.query": given.query,
            "reranker.top_k": top_n or len(given.docs),
            **dict(_documents("input", given, range(len(given.docs)), {})),
        }
    )
    return span


def _documents(
    side: str, given: Given, order: Sequence[int], scores: dict[int, float]
) -> Iterator[tuple[str, Any]]:
    for place, index in enumerate(order):
        name = f"reranker.{side}_documents.{place}.document"
        yield f"{name}.id", id_of(given.documents[index]) or str(index)
        yield f"{name}.content", given.docs[index].text
        if index in scores:
            yield f"{name}.score", scores[index]


def _ended(watched: Watched, job: Driven, failure: BaseException | None) -> None:
    """What became of the query, as far as somebody wants to know."""
    given, about, span, begun = watched
    if span is None and not LOG.isEnabledFor(logging.DEBUG):
        return
    found = {**about, "seconds": round(perf_counter() - begun, 6)}
    if isinstance(failure, CancelledError):
        found["status"] = "cancelled"
    elif failure:
        found |= {"status": "failed", "error": str(failure)}
    else:
        ranking = ranking_of(job, given, about["method"], "none")[: about["top_n"]]
        found |= {"status": "failed" if job.error else "ok", "calls": job.calls}
        found |= {"rounds": job.rounds, "prompt_tokens": job.usage.prompt_tokens}
        found |= {"completion_tokens": job.usage.completion_tokens, "error": job.error}
        if span is not None:
            scores = {hit.index: hit.score for hit in ranking if hit.score is not None}
            order = [hit.index for hit in ranking]
            span.set_attributes(dict(_documents("output", given, order, scores)))
    _told(found, span)


def _told(found: dict[str, Any], span: Any) -> None:
    extra = {f"rerank_{name}": value for name, value in found.items() if value not in (None, "")}
    LOG.debug("reranked %d documents: %s", found["documents"], found["status"], extra=extra)
    if span is None:
        return
    span.set_attributes({name.replace("_", ".", 1): value for name, value in extra.items()})
    for kind in ("prompt", "completion"):
        if (tokens := found.get(f"{kind}_tokens")) is not None:
            span.set_attribute(f"llm.token_count.{kind}", tokens)
    if found["status"] == "failed":
        _blame(span, found["error"])
    span.end()


def _blame(span: Any, error: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, error))


@lru_cache(maxsize=1)
def _tracer() -> Any:
    """OpenTelemetry's tracer, or None without its package."""
    try:
        from opentelemetry import trace
    except ModuleNotFoundError:
        return None
    return trace.get_tracer("rerank")
