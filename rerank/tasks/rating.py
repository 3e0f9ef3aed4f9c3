"""A model that rates documents one by one, before anything is reranked.

Its replies are kept in the cache, so that another recipe, or the same one again, asks nothing
twice. What it could not read is rated minus infinity, below everything.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, TypeVar

from rerank.engines.cached import cached
from rerank.errors import UsageError
from rerank.judges import LLMJudge
from rerank.methods import METHODS
from rerank.prompts import read_prompt
from rerank.questions import Asking, Rate, ask
from rerank.recipes.stages import RatingOptions
from rerank.records import Doc, Query, Run
from rerank.scheduler import drive

R = TypeVar("R")


class Rater:
    """The model of a first stage's table; `calls` are the ratings that were asked for so far."""

    def __init__(self, options: RatingOptions) -> None:
        row = METHODS.get(options.method)
        if row is None or row.strategy != "pointwise":
            raise UsageError(
                f"method {options.method!r} rates no document alone; those do: {_pointwise()}"
            )
        prompt = read_prompt(row.prompt)
        what = f"method {options.method}"
        self._journal = cached(options, prompt.reader.wants, what, "ratings")
        self._judge = LLMJudge(prompt, self._journal)
        self._aloud = LLMJudge(prompt, self._journal.engine)
        self._judge.check(1)
        self.name = f"{options.method} {self._journal.name}"
        self.calls = 0

    def answer(
        self, askings: Iterable[tuple[Query, Asking[R]]], kept: bool = True
    ) -> Iterator[tuple[Query, R]]:
        """What each asking returns, as they end; replies not `kept` leave nothing in the cache."""
        for job in drive(askings, self._judge if kept else self._aloud):
            assert job.ranking is not None  # a failed answer raises
            self.calls += job.calls
            yield job.query, job.ranking

    def rated(
        self, docs: Mapping[Query, Sequence[Doc]], kept: bool = True
    ) -> dict[Query, list[float]]:
        """A rating for each document of each query, in their order.

        Who shows a document is asked for together, so that a model that remembers reads it once.
        """
        showing: dict[Doc, list[tuple[Query, int]]] = {}
        for query, shown in docs.items():
            for place, doc in enumerate(shown):
                showing.setdefault(doc, []).append((query, place))
        askings = (
            (query, _rating(doc, place)) for doc, at in showing.items() for query, place in at
        )
        found = {query: [0.0] * len(shown) for query, shown in docs.items()}
        for query, (place, rating) in self.answer(askings, kept):
            found[query][place] = rating
        return found

    def scored(self, docs: Mapping[Query, Sequence[Doc]]) -> Run:
        """The ratings as a run, without what could not be read."""
        return {
            query.id: {
                doc.id: rating
                for doc, rating in zip(docs[query], ratings, strict=True)
                if isfinite(rating)
            }
            for query, ratings in self.rated(docs).items()
        }

    def record(self) -> dict[str, Any]:
        return {"rater": self.name, "ratings": self.calls}

    def close(self) -> None:
        self._journal.close()


def _rating(doc: Doc, place: int) -> Asking[tuple[int, float]]:
    """A document's rating, with its place among the documents of its query."""
    return place, (yield from ask(Rate(doc)))


def _pointwise() -> str:
    return ", ".join(name for name, row in METHODS.items() if row.strategy == "pointwise")
