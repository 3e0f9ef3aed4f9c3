"""What a reranker gives back: the caller's own documents in order, and what it took."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, overload

from rerank.calibration import Calibration, Keep, kept
from rerank.engines import Engine
from rerank.library.dispatch import Driven
from rerank.library.documents import id_of
from rerank.prompts import Prompt
from rerank.questions import Rate
from rerank.records import Doc, Status, Usage
from rerank.strategies.parts import Parts
from rerank.wants import Pair

ScoreKind: TypeAlias = Literal[
    "logit", "cosine", "dot", "maxsim", "log-probability", "grade", "none"
]
"""What a score is: see `Ranking`."""


KINDS: dict[str, ScoreKind] = {
    "label-odds": "logit",
    "label-logit": "logit",
    "label-expectation": "grade",
    "label-peak": "log-probability",
    "likelihood": "log-probability",
}
"""What each reader of ratings makes; any other reader makes no number for a document."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A document in its place: `rank` from 1, `index` where it stood in what you gave.

    `probability` is there where the reranker was given a calibration.
    """

    index: int
    rank: int
    score: float | None
    document: Any
    id: str | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that did not go as it should, how often, and in words."""

    kind: Literal["repaired", "unreadable", "unasked", "truncated", "shortened", "failed"]
    count: int
    text: str


@dataclass(frozen=True, slots=True)
class Ranking(Sequence[Hit]):
    """Your documents, best first, and what it took; iterate over it, or index it.

    `status` is "ok"; "partial" where some answers were repaired, unreadable or beyond the budget,
    so that the order is the best that the others allow; "fallback" where the query failed under
    `on_error="keep"` and the order is yours as it was, with the reason in `error`. `issues` says
    what happened. `score_kind` says what scores are: a "logit" (log-odds of relevant, any size),
    "cosine" or "dot" of two vectors, "maxsim" of their tokens', a "log-probability" (of the query,
    of the highest grade), an expected "grade", or "none" where a method gives an order alone.
    """

    query: str
    hits: tuple[Hit, ...]
    method: str
    score_kind: ScoreKind
    calls: int
    rounds: int
    usage: Usage
    answers: dict[str, int]
    issues: tuple[Issue, ...] = ()
    stopped: bool = False
    error: str = ""

    @property
    def status(self) -> Literal["ok", "partial", "fallback"]:
        if self.error:
            return "fallback"
        cut = ("truncated", "shortened")
        return "partial" if any(issue.kind not in cut for issue in self.issues) else "ok"

    @property
    def documents(self) -> list[Any]:
        return [hit.document for hit in self.hits]

    @property
    def ids(self) -> list[str | None]:
        return [hit.id for hit in self.hits]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Hits as plain dictionaries, without the documents."""
        names = ("rank", "index", "id", "score", "probability")
        return [{name: getattr(hit, name) for name in names} for hit in self.hits]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, place: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[place]


@dataclass(frozen=True, slots=True)
class Given:
    """One query as a caller asked it: the documents as they are, and as they are sorted.

    `shortened` are the ids of those that were cut at `limit` tokens.
    """

    query: str
    documents: Sequence[Any]
    docs: list[Doc] = field(repr=False)
    instruction: str = ""
    limit: int | None = None
    shortened: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cut:
    """How much of a ranking its caller wants."""

    top_n: int | None
    keep: Keep | None
    calibration: Calibration | None

    def made(self, ranking: Ranking) -> Ranking:
        """The ranking with probabilities, as far as it is wanted."""
        scores = [hit.score for hit in ranking.hits]
        hits: tuple[Hit, ...] = ranking.hits
        chances: list[float | None] = [None] * len(scores)
        if self.calibration and scores:
            chances = self.calibration.probabilities(ranking.query, scores)
            pairs = zip(hits, chances, strict=True)
            hits = tuple(replace(hit, probability=chance) for hit, chance in pairs)
        if self.keep and not ranking.error:
            hits = hits[: kept(self.keep, scores, chances)]
        return replace(ranking, hits=hits[: self.top_n])


def ranking_of(
    job: Driven, given: Given, method: str, kind: ScoreKind, parts: Parts | None = None
) -> Ranking:
    """A finished query as its caller sees it: all of the documents; failed, in their old order."""
    order = given.docs if job.ranking is None else job.ranking
    hits = tuple(
        Hit(i, rank, _score(job, doc, parts), given.documents[i], id_of(given.documents[i]))
        for rank, (i, doc) in enumerate(((int(doc.id), doc) for doc in order), 1)
    )
    answers = Counter({status.value: job.statuses[status] for status in Status})
    return Ranking(
        given.query,
        hits,
        method,
        kind,
        job.calls,
        job.rounds,
        job.usage,
        dict(answers),
        _issues(job, given),
        job.unasked > 0,
        job.error,
    )


def _issues(job: Driven, given: Given) -> tuple[Issue, ...]:
    replies = sum(job.statuses.values())
    found = [
        Issue("repaired", job.statuses[Status.REPAIRED], f"of {replies} replies were put right"),
        Issue("unreadable", job.statuses[Status.UNREADABLE], f"of {replies} replies say nothing"),
        Issue("unasked", job.unasked, "questions were beyond the budget"),
        Issue("truncated", job.truncated, "passages were cut to fit"),
        Issue("shortened", len(given.shortened), f"documents were cut at {given.limit} tokens"),
        Issue("failed", job.statuses[Status.FAILED], f"of {replies} questions failed: {job.error}"),
    ]
    return tuple(Issue(i.kind, i.count, f"{i.count} {i.text}") for i in found if i.count)


def _score(job: Driven, doc: Doc, parts: Parts | None) -> float | None:
    """The rating of a document; None where it has none, or one that could not be read."""
    found = [job.told(Rate(part)) for part in (parts.of(doc) if parts else [doc])]
    rated = [-math.inf if rating is None else rating for rating in found]
    score = parts.joined(rated) if parts else rated[0]
    return score if math.isfinite(score) else None


def score_kind_of(prompt: Prompt, engine: Engine) -> ScoreKind:
    """What the numbers are that a prompt's reader makes of this engine's replies."""
    if prompt.reader.wants is Pair:
        return getattr(engine, "score_kind", "logit")
    return KINDS.get(prompt.file.reads, "none")
