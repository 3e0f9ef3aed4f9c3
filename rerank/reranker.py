"""The library face: give it a query and documents, get them back in order, with what it cost.

A document is a text, or a mapping with a `text` and perhaps a `title` and an `id`; it comes
back as the object that it was. Scores are a model's own or None: none is ever made up.
"""

import math
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import pydantic

from rerank.cost import Cost, asking, expect, strategy_of, widest
from rerank.engines import Engine
from rerank.engines.journal import remembering
from rerank.engines.opening import ENGINES, choose, open_engine, refuse_unserved
from rerank.errors import InputError, UsageError
from rerank.judges import LLMJudge
from rerank.methods import METHODS, Method
from rerank.questions import Rate
from rerank.recipes import BudgetOptions
from rerank.records import Doc, Query, Status, Usage
from rerank.scheduler import Budget, Job, drive
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

    `answers` counts replies by status; anything but `ok` deserves a look. `stopped` says that the
    budget was spent before the method was done. `error` is set, and the order is yours as it was,
    where a query failed under `on_error="keep"`.
    """

    hits: tuple[Hit, ...]
    calls: int
    rounds: int
    usage: Usage
    answers: dict[str, int]
    stopped: bool = False
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
    is a file that remembers every reply. `budget` is what one query may cost: calls, tokens or
    seconds. One instance may serve many threads, one at a time.
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
        budget: Mapping[str, float] | None = None,
        on_error: str = "raise",
    ) -> None:
        self._row = _row(method, prompt, instruction, options or {})
        self._strategy, wording = strategy_of(self._row)
        if wording is None:
            raise UsageError(f"method {method} asks nothing, so it needs no reranker")
        if on_error not in ("raise", "keep"):
            raise UsageError(f"on_error is 'raise' or 'keep', not {on_error!r}")
        self._budget = _budget(budget or {})
        name = choose(wording.reader.wants, base_url) if engine == "auto" else engine
        if name not in ENGINES:
            raise UsageError(f"no engine {name!r}; there are: auto, {', '.join(ENGINES)}")
        server = {"base_url": base_url, "api_key": api_key} if name == "http" else {}
        refuse_unserved(name, wording.reader.wants, wording.name)
        settings = {**server, **(engine_options or {})}
        opening = partial(open_engine, name, model, settings)
        self._engine: Engine = remembering(Path(journal), opening) if journal else opening()
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
            row = replace(self._row, options=self._options(top_n))
            askings = ((query, asking(row, docs)) for query, docs in asked.items())
            jobs = list(drive(askings, self._judge, budget=self._budget, on_error=self._on_error))
        return [
            _ranking(job, given[int(job.query.id)][1], asked[job.query], top_n)
            for job in sorted(jobs, key=lambda job: int(job.query.id))
        ]

    def estimate(self, batch: Iterable[tuple[str, Sequence[Any]]]) -> Cost:
        """What reranking would cost, in calls and about how many tokens; asks nothing."""
        asked = {Query(str(i), q): _docs(d) for i, (q, d) in enumerate(batch)}
        return expect(self._row, asked, budget=self._budget)

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

    def _options(self, top_n: int | None) -> dict[str, Any]:
        """The method's options, with as many places to sort as are wanted back."""
        if top_n is not None and top_n < 1:
            raise UsageError(f"top_n is {top_n}; it must be 1 or more")
        takes_k = top_n is not None and "k" in options_of(self._strategy)
        return {**({"k": top_n} if takes_k else {}), **self._row.options}

    def _check(self, asked: Mapping[Query, Sequence[Doc]]) -> None:
        """Check the model's labels, once for each width of question."""
        if (shown := widest(self._row, map(len, asked.values()))) > self._checked:
            self._judge.check(shown)
            self._checked = shown


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


def _budget(limits: Mapping[str, float]) -> Budget:
    try:
        return Budget(**dict(BudgetOptions.model_validate(limits)))
    except pydantic.ValidationError as wrong:
        mistake = wrong.errors()[0]
        key = ".".join(map(str, mistake["loc"]))
        raise UsageError(f"budget {key}: {mistake['msg']}; give calls, tokens or seconds") from None


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
    stopped = job.unasked > 0
    return Ranking(hits, job.calls, job.rounds, job.usage, dict(answers), stopped, job.error)


def _score(job: Job[Query, list[Doc]], doc: Doc) -> float | None:
    """The rating of a document; None where it has none, or one that could not be read."""
    score = job.known.get(Rate(doc))
    return score if score is not None and math.isfinite(score) else None
