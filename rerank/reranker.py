"""The library face: give it a query and documents, get them back in order, with what it cost.

A document is a text, or a mapping with a `text` and perhaps a `title` and an `id`; it comes
back as the object that it was. Scores are a model's own or None: none is ever made up.
"""

import math
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rerank.cost import Cost, expect, strategy_of
from rerank.engines import Engine
from rerank.engines.journal import Journal
from rerank.engines.opening import ENGINES, choose, open_engine
from rerank.errors import InputError, UsageError
from rerank.judges import LLMJudge
from rerank.methods import METHODS, Method
from rerank.questions import Rate
from rerank.records import Doc, Query, Status, Usage
from rerank.scheduler import Job, drive
from rerank.strategies import options_of


@dataclass(frozen=True, slots=True)
class Hit:
    """A document in its place: `rank` from 1, `index` where it stood in what you gave."""

    index: int
    rank: int
    score: float | None
    document: Any


@dataclass(frozen=True, slots=True)
class Ranking:
    """Your documents, best first, and what it took; iterate over it, or index it.

    `answers` counts replies by status; anything but `ok` deserves a look. `error` is set, and the
    order is yours as it was, where a query failed under `on_error="keep"`.
    """

    hits: tuple[Hit, ...]
    calls: int
    rounds: int
    usage: Usage
    answers: dict[str, int]
    error: str = ""

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, place: int) -> Hit:
        return self.hits[place]


class Reranker:
    """A method and a model, ready for many queries.

    `method` is a row of METHODS; `prompt`, `instruction` and `options` change parts of it. With
    `base_url` the model is asked over HTTP; else it is loaded here, by the engine named. `journal`
    is a file that remembers every reply. One instance may serve many threads, one at a time.
    """

    def __init__(
        self,
        model: str,
        *,
        method: str,
        prompt: str | None = None,
        instruction: str | None = None,
        options: Mapping[str, Any] | None = None,
        engine: str = "auto",
        base_url: str | None = None,
        api_key: str | None = None,
        engine_options: Mapping[str, Any] | None = None,
        journal: Path | str | None = None,
        on_error: str = "raise",
    ) -> None:
        self._row = _row(method, prompt, instruction, options or {})
        self._strategy, wording = strategy_of(self._row)
        if wording is None:
            raise UsageError(f"method {method} asks nothing, so it needs no reranker")
        if on_error not in ("raise", "keep"):
            raise UsageError(f"on_error is 'raise' or 'keep', not {on_error!r}")
        name = choose(wording.reader.wants, base_url) if engine == "auto" else engine
        if name not in ENGINES:
            raise UsageError(f"no engine {name!r}; there are: auto, {', '.join(ENGINES)}")
        server = {"base_url": base_url, "api_key": api_key} if name == "http" else {}
        opened: Engine = open_engine(name, model, {**server, **(engine_options or {})})
        self._engine = Journal(opened, Path(journal)) if journal else opened
        self._judge = LLMJudge(wording, self._engine)
        self._on_error = on_error
        self._checked = 0
        self._lock = threading.Lock()

    def rerank(self, query: str, documents: Sequence[Any], top_n: int | None = None) -> Ranking:
        """Your documents, best first; the best `top_n` of them, if given.

        A method that sorts only as many places as it is told to is told `top_n`, unless
        `options` say otherwise.
        """
        [ranking] = self.rerank_many([(query, documents)], top_n)
        return ranking

    def rerank_many(
        self, batch: Iterable[tuple[str, Sequence[Any]]], top_n: int | None = None
    ) -> list[Ranking]:
        """Rerank many queries at once, all in flight together; rankings in the order given."""
        given = list(batch)
        asked = {
            Query(str(place), query): _docs(documents)
            for place, (query, documents) in enumerate(given)
        }
        with self._lock:
            self._check(asked)
            options = self._options(top_n)
            strategies = ((q, self._strategy(d, **options)) for q, d in asked.items())
            jobs = list(drive(strategies, self._judge, on_error=self._on_error))
        return [
            _ranking(job, given[int(job.query.id)][1], asked[job.query], top_n)
            for job in sorted(jobs, key=lambda job: int(job.query.id))
        ]

    def estimate(self, batch: Iterable[tuple[str, Sequence[Any]]]) -> Cost:
        """What reranking would cost, in calls and about how many tokens; asks nothing."""
        return expect(self._row, {Query(str(i), q): _docs(d) for i, (q, d) in enumerate(batch)})

    def close(self) -> None:
        """Let go of the model."""
        self._engine.close()

    def __enter__(self) -> "Reranker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _options(self, top_n: int | None) -> Mapping[str, Any]:
        """The method's options, with as many places to sort as are wanted back."""
        if top_n is not None and top_n < 1:
            raise UsageError(f"top_n is {top_n}; it must be 1 or more")
        takes_k = top_n is not None and "k" in options_of(self._strategy)
        return {**({"k": top_n} if takes_k else {}), **self._row.options}

    def _check(self, asked: Mapping[Query, Sequence[Doc]]) -> None:
        """Check the model's labels, once for each width of question."""
        if (widest := expect(self._row, asked).widest) > self._checked:
            self._judge.check(widest)
            self._checked = widest


def _row(
    method: str, prompt: str | None, instruction: str | None, options: Mapping[str, Any]
) -> Method:
    if method not in METHODS:
        raise UsageError(f"no method {method!r}; there are: {', '.join(METHODS)}")
    row = METHODS[method]
    return Method(
        row.strategy, prompt or row.prompt, row.paper, row.calls, row.rounds,
        {**row.options, **options}, instruction or row.instruction,
    )  # fmt: skip


def _docs(documents: Sequence[Any]) -> list[Doc]:
    """Each document under its index, so that equal texts stay two documents."""
    if isinstance(documents, str):
        raise InputError("the documents are one text; give a list of them")
    return [_doc(index, document) for index, document in enumerate(documents)]


def _doc(index: int, document: Any) -> Doc:
    if isinstance(document, str):
        return Doc(str(index), document)
    if isinstance(document, Mapping) and isinstance(document.get("text"), str):
        return Doc(str(index), document["text"], str(document.get("title") or ""))
    raise InputError(f"document {index} is neither a text nor a mapping with a 'text'")


def _ranking(
    job: Job[Query, list[Doc]], given: Sequence[Any], docs: list[Doc], top_n: int | None
) -> Ranking:
    best = (docs if job.ranking is None else job.ranking)[:top_n]
    hits = tuple(
        Hit(int(doc.id), rank, _score(job, doc), given[int(doc.id)])
        for rank, doc in enumerate(best, 1)
    )
    answers = Counter({status.value: job.statuses[status] for status in Status})
    return Ranking(hits, job.calls, job.rounds, job.usage, dict(answers), job.error)


def _score(job: Job[Query, list[Doc]], doc: Doc) -> float | None:
    """The rating of a document; None where it has none, or one that could not be read."""
    score = job.known.get(Rate(doc))
    return score if score is not None and math.isfinite(score) else None
