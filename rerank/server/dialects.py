"""The dialects of rerank over HTTP, one row each: what is asked, and how the answer is said.

The keys of a body tell which one it speaks, whatever its path. Nothing in a request chooses a
model, a file, a server or a template.
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from rerank.records import Usage
from rerank.server import answers
from rerank.server.limits import Refused
from rerank.server.requests import (
    NIMRequest,
    RerankRequest,
    ScoreRequest,
    TEIRequest,
    VoyageRequest,
    Wire,
    read,
    refuse_several,
    text_of,
)
from rerank.server.scale import Place, Ranked


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in no dialect: `given` are the documents as they go back, if they are wanted.

    `top_n` is None for all of them, `max_tokens_per_doc` for no limit but the model's. With `whole`
    nothing may be cut.
    """

    query: str
    texts: list[str]
    top_n: int | None = None
    given: Sequence[Any] | None = None
    raw: bool = False
    whole: bool = False
    instruction: str | None = None
    max_tokens_per_doc: int | None = None


def ask_rerank(asked: RerankRequest) -> Asked:
    given = [asked.documents] if isinstance(asked.documents, str) else asked.documents
    texts = [text_of(d, f"document {i}", asked.rank_fields) for i, d in enumerate(given)]
    pairs = zip(given, texts, strict=True)
    back = [d if isinstance(d, dict) else {"text": text} for d, text in pairs]
    return Asked(
        asked.query, texts, asked.top_n or None, back if asked.return_documents else None,
        **_said(asked),
    )  # fmt: skip


def ask_voyage(asked: VoyageRequest) -> Asked:
    if asked.top_n and asked.top_k and asked.top_n != asked.top_k:
        raise Refused(422, "`top_n` and `top_k` say two things; give one of them")
    top_n = asked.top_n or asked.top_k or None
    return replace(ask_rerank(asked), top_n=top_n, whole=not asked.truncation)


def ask_tei(asked: TEIRequest) -> Asked:
    given = asked.texts if asked.return_text else None
    return Asked(
        asked.query, asked.texts, asked.top_n or None, given, asked.raw_scores, not asked.truncate,
        **_said(asked),
    )  # fmt: skip


def ask_nim(asked: NIMRequest) -> Asked:
    texts = [text_of(passage, f"passage {i}") for i, passage in enumerate(asked.passages)]
    return Asked(text_of(asked.query, "the query"), texts, asked.top_n or None, **_said(asked))


def ask_scores(asked: ScoreRequest) -> tuple[list[Asked], list[list[int]]]:
    """Each query once with all of its documents, and the places where their scores belong."""
    pairs = asked.pairs()
    queries: defaultdict[str, list[int]] = defaultdict(list)
    for place, (query, _) in enumerate(pairs):
        queries[query].append(place)
    said = _said(asked)
    each = [Asked(q, [pairs[i][1] for i in places], **said) for q, places in queries.items()]
    return each, [*queries.values()]


def _said(asked: Wire) -> dict[str, Any]:
    """What any dialect may say of how its documents are read."""
    limit = asked.max_tokens_per_doc or None
    return {"instruction": asked.instruction or None, "max_tokens_per_doc": limit}


def say_rerank(asked: Asked, ranked: Ranked) -> answers.Reranked:
    return {
        "id": _name("rerank-"),
        "object": "list",
        "model": ranked.model,
        "results": [_result(place, asked.given) for place in ranked.places],
        "usage": answers.usage(ranked.usage),
        "meta": answers.meta(ranked.usage, ranked.warnings),
    }


def say_voyage(asked: Asked, ranked: Ranked) -> answers.VoyageReranked:
    said = say_rerank(asked, ranked)
    return {**said, "data": said["results"]}


def say_tei(asked: Asked, ranked: Ranked) -> list[answers.TEIResult]:
    return [_tei_result(place, asked) for place in ranked.places]


def say_nim(asked: Asked, ranked: Ranked) -> answers.NIMReranked:
    rankings: list[answers.NIMResult] = [
        {"index": place.index, "logit": place.score} for place in ranked.places
    ]
    return {"rankings": rankings, "usage": answers.usage(ranked.usage)}


def say_scores(model: str, scores: Sequence[float], usage: Usage) -> answers.Scores:
    """Scores in the order of the documents."""
    return {
        "id": _name("score-"),
        "object": "list",
        "created": int(time.time()),
        "model": model,
        "data": [{"index": i, "object": "score", "score": s} for i, s in enumerate(scores)],
        "usage": answers.usage(usage),
    }


NAMES = random.Random()
"""Draws no bytes from the system: each time, that hands the interpreter to another thread."""


def _name(kind: str = "") -> str:
    """An answer's own."""
    return f"{kind}{NAMES.getrandbits(128):032x}"


def _result(place: Place, given: Sequence[Any] | None) -> answers.Result:
    result: answers.Result = {"index": place.index, "relevance_score": place.relevance}
    if given is not None:
        result["document"] = given[place.index]
    return result


def _tei_result(place: Place, asked: Asked) -> answers.TEIResult:
    score = place.score if asked.raw else place.relevance
    result: answers.TEIResult = {"index": place.index, "score": score}
    if asked.given is not None:
        result["text"] = asked.given[place.index]
    return result


def refuse(status: int, why: str) -> answers.Refusal:
    """What Cohere, Jina, OpenAI and vLLM clients each look for, in one."""
    kind = HTTPStatus(status).phrase.replace(" ", "").replace("-", "") + "Error"
    error: answers.Error = {"message": why, "type": kind, "param": None, "code": status}
    return {"id": _name(), "message": why, "detail": why, "error": error}


def refuse_tei(status: int, why: str) -> answers.TEIRefusal:
    kinds = {400: "Empty", 401: "Unauthorized", 429: "Overloaded"}
    kind = kinds.get(status, "Validation" if status < 500 else "Backend")
    return {"error": why, "error_type": kind}


@dataclass(frozen=True, slots=True)
class Dialect:
    """A row: the key with the documents, the keys that give it away, what is asked and answered."""

    name: str
    documents: str
    marks: frozenset[str]
    request: type[Wire]
    ask: Callable[[Any], Asked]
    answer: Any
    say: Callable[[Asked, Ranked], Any]
    refusal: Any = answers.Refusal
    refuse: Callable[[int, str], Any] = refuse


DIALECTS = (
    Dialect(
        "TEI", "texts", frozenset({"texts"}), TEIRequest, ask_tei, list[answers.TEIResult], say_tei,
        answers.TEIRefusal, refuse_tei,
    ),
    Dialect(
        "NIM", "passages", frozenset({"passages"}), NIMRequest, ask_nim, answers.NIMReranked,
        say_nim,
    ),
    Dialect(
        "Voyage", "documents", frozenset({"top_k", "truncation"}), VoyageRequest, ask_voyage,
        answers.VoyageReranked, say_voyage,
    ),
    Dialect(
        "Cohere, Jina, vLLM", "documents", frozenset(), RerankRequest, ask_rerank,
        answers.Reranked, say_rerank,
    ),
)  # fmt: skip
"""In the order in which they are looked for; the last is spoken by whoever speaks no other."""


def dialect_of(body: Mapping[str, Any]) -> Dialect:
    """The first dialect that a body gives away."""
    return next((row for row in DIALECTS if row.marks & body.keys()), DIALECTS[-1])


def asked_in(dialect: Dialect, body: Mapping[str, Any]) -> tuple[Asked, tuple[str, ...]]:
    """What a body asks, and the keys in it that mean nothing; documents in two keys are refused."""
    refuse_several(body, [row.documents for row in DIALECTS])
    given, unknown = read(dialect.request, body)
    return dialect.ask(given), unknown
