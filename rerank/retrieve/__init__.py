"""First stages: from a corpus and queries to a run of candidates.

A retriever is made of a corpus and its options, and answers `search`. What one needs is imported
when it is made.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from rerank.errors import refuse_without
from rerank.recipes.stages import BM25Options, DenseOptions, LuceneOptions
from rerank.records import Doc, Query, Run
from rerank.retrieve.bm25 import BM25

__all__ = ["BM25", "RETRIEVERS", "Ranks", "Retriever", "refuse_unready"]


class Retriever(Protocol):
    """A corpus that answers queries."""

    @property
    def record(self) -> Mapping[str, Any]:
        """What it is and what was measured of it, for result.json."""

    def search(self, queries: Sequence[Query], depth: int) -> Run:
        """At most `depth` documents for each query, best first."""
        ...


@runtime_checkable
class Ranks(Retriever, Protocol):
    """A retriever that can score documents that it is given."""

    def rank(self, queries: Sequence[Query], pools: Mapping[str, Sequence[str]]) -> Run:
        """All documents of each query's pool, best first; equal scores keep its order."""
        ...


def _bm25(corpus: Iterable[Doc], options: BM25Options) -> Retriever:
    return BM25.of(corpus, **dict(options))


def _lucene(corpus: Iterable[Doc], options: LuceneOptions) -> Retriever:
    from rerank.retrieve.lucene import Lucene

    return Lucene(corpus, options)


def _dense(corpus: Iterable[Doc], options: DenseOptions) -> Retriever:
    from rerank.retrieve.dense import Dense, embedder

    if options.lucene:
        from rerank.retrieve.lucene_vectors import GivenGraph

        return GivenGraph(options, embedder(options))
    return Dense(corpus, options)


RETRIEVERS: dict[str, Callable[[Iterable[Doc], Any], Retriever]] = {
    "bm25": _bm25,
    "lucene": _lucene,
    "dense": _dense,
}
"""The retrievers by the names that `first` calls them; each takes the table of its name."""


def refuse_unready(first: str, options: Any) -> None:
    """Raise for a retriever that lacks a package, before another one has worked for hours."""
    if first == "bm25":
        refuse_without("bm25s", "eval")
    elif first == "lucene":
        from rerank.retrieve.java import find

        find()
        if options.impact:
            refuse_without("transformers", "transformers")
    elif first == "dense":
        _refuse_undense(options)


def _refuse_undense(options: DenseOptions) -> None:
    from rerank.retrieve import indexes, lucene_vectors

    if options.library == "sentence-transformers":
        refuse_without("sentence_transformers", "dense")
    refuse_without("transformers", "transformers")
    if options.lucene:
        lucene_vectors.refuse_unready(options)
    else:
        indexes.refuse_unready(options)
