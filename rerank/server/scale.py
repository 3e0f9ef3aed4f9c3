"""Numbers that clients can read: every answer's relevance is in [0, 1], and says what it was.

What a model says is brought there by one function for each kind of score. A method that gives an
order alone has its places for numbers, and says so: no threshold should be fooled by them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from rerank.library.ranking import Hit, Ranking
from rerank.records import Usage


def sigmoid(score: float) -> float:
    """The probability that log-odds stand for."""
    if score < 0:
        return math.exp(score) / (1 + math.exp(score)) if score > -700 else 0.0
    return 1 / (1 + math.exp(-score))


def _within(score: float) -> float:
    return min(1.0, max(0.0, score))


SCALES: dict[str, Callable[[float], float]] = {
    "logit": sigmoid,
    "dot": sigmoid,
    "cosine": _within,
    "log-probability": lambda score: _within(math.exp(min(score, 0.0))),
}
"""A cosine stays what it is, and below zero is nothing. A kind that is not here is a rank."""


@dataclass(frozen=True, slots=True)
class Place:
    """A document in its place: its number in [0, 1], and the model's own, if it gave one."""

    index: int
    relevance: float
    score: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """An answer in no dialect; `kind` is what its numbers were made from, `status` a Ranking's."""

    model: str
    places: list[Place]
    usage: Usage
    kind: str
    status: str
    warnings: list[str]


def kind_of(ranking: Ranking) -> str:
    """What the numbers of an answer are made from: the kind of its scores, or its order."""
    if ranking.error:
        return "rank"
    if any(hit.probability is not None for hit in ranking):
        return "probability"
    return ranking.score_kind if ranking.score_kind in SCALES else "rank"


def ranked(ranking: Ranking, documents: int, model: str, ignored: tuple[str, ...]) -> Ranked:
    """A ranking of so many documents, or of the best of them, with numbers for each place."""
    kind = kind_of(ranking)
    warnings = [f"ignored: {', '.join(ignored)}"] if ignored else []
    if kind == "rank":
        warnings.append("relevance_score tells the rank alone: (n - rank + 1) / n")
    if ranking.error:
        warnings.append("fallback: not reranked, the documents are in the order they came in")
    warnings += (issue.text for issue in ranking.issues if issue.kind != "failed")
    places = [_place(hit, kind, documents) for hit in ranking]
    return Ranked(model, places, ranking.usage, kind, ranking.status, warnings)


def _place(hit: Hit, kind: str, documents: int) -> Place:
    if kind == "rank":
        relevance = (documents - hit.rank + 1) / documents
        return Place(hit.index, relevance, relevance)
    relevance = relevance_of(hit, kind)
    return Place(hit.index, relevance, relevance if hit.score is None else hit.score)


def relevance_of(hit: Hit, kind: str) -> float:
    """What a scored document's number is; one that the model gave none has zero."""
    if hit.probability is not None:
        return hit.probability
    return 0.0 if hit.score is None else SCALES[kind](hit.score)
