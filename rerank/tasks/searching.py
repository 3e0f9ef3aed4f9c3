"""Search a corpus with a model that rates: `first = "cur"` of a recipe, as `retrieve.cur` says.

What the anchor queries' ratings are worth depends on the model and the corpus only: they are kept
in the cache, a row as soon as it is whole, so that a killed run goes on and the next one pays for
its own queries alone.
"""

import hashlib
import json
import logging
import random
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from rerank import files
from rerank.datasets import Dataset
from rerank.errors import EngineError, InputError, extra
from rerank.recipes.stages import CurOptions, FusionOptions
from rerank.records import Doc, Query, Run
from rerank.retrieve import RETRIEVERS, Retriever
from rerank.retrieve.cur import with_ridge
from rerank.retrieve.fusion import fused
from rerank.retrieve.vectors import Store, encoded
from rerank.tasks.rating import Rater

LOG = logging.getLogger(__name__)
AT_ONCE = 8  # anchor queries that are rated before their rows are written,
BLOCK = 512  # with so many documents at a time
WORDS = (3, 8)  # of a phrase that stands in for a query


def by_ratings(
    dataset: Dataset,
    queries: Sequence[Query],
    depth: int,
    options: CurOptions,
    tables: Mapping[str, Any],
    anchors: Sequence[Query] = (),
) -> tuple[Run, dict[str, Any]]:
    """A run of the `depth` best, and the record of what it takes where nothing is kept yet.

    `tables` are the options of the first stages that say where to begin; without `anchors` phrases
    of the documents are taken.
    """
    docs = list(dataset.corpus.values())
    taken = list(anchors or phrases(docs, options.anchor_queries, options.seed))
    starts = [RETRIEVERS[name](docs, table) for name, table in tables.items()]
    with closing(Rater(options)) as rater:
        matrix = matrix_of(rater, docs, taken[: options.anchor_queries])
        once = rater.calls
        known = with_ridge(matrix, options.first_ratings, options.seed)
        begin = Beginning(docs, starts, options.seed)
        numbers = (options.first_ratings, options.budget, options.rounds)
        found = dict(
            rater.answer(
                (query, known.search(docs, order, *numbers, beside))
                for query, order, beside in map(begin, queries)
            )
        )
        ratings = {"ratings": rater.calls - once, "ratings_once": matrix.size}
    run = {query.id: _falling(ranked[:depth]) for query, ranked in found.items()}
    return run, {
        "rater": rater.name,
        "anchor_queries": len(matrix),
        **ratings,
        "ridge": known.ridge,
    }


def phrases(docs: Sequence[Doc], count: int, seed: int) -> list[Query]:
    """A few words in a row from each of some documents, in place of queries that nobody has."""
    draw = random.Random(seed)
    found: list[Query] = []
    for doc in draw.sample(docs, min(count, len(docs))):
        words = f"{doc.title} {doc.text}".split()
        length = draw.randint(*WORDS)
        begin = draw.randrange(max(1, len(words) - length))
        found.append(Query(f"phrase {doc.id}", " ".join(words[begin : begin + length])))
    return [query for query in found if query.text]


def matrix_of(
    rater: Rater, docs: Sequence[Doc], anchors: Sequence[Query], at_once: int = AT_ONCE
) -> Any:
    """A row of ratings for each anchor query; what could not be read is the worst of its row.

    As many as `at_once` are rated together, before any of their rows is written.
    """
    np = extra("numpy", "eval")
    if len(anchors) < 2:
        raise InputError(f"cur: {len(anchors)} anchor queries; two or more are needed")
    source = _Rows(rater, docs)
    store = Store(files.cache() / "ratings", source.name, source.width)
    places = encoded([query.text for query in anchors], source, store, _progress, at_once)
    rows = store.rows()["vector"][places].astype(np.float64)
    worst = np.where(np.isfinite(rows), rows, np.inf).min(axis=1, keepdims=True)
    if not np.isfinite(worst).all():
        raise EngineError(f"{rater.name}: no rating of an anchor query could be read")
    return np.where(np.isfinite(rows), rows, worst)


class _Rows:
    """A query's ratings of all documents, as a vector of it."""

    prompts = ("", "")

    def __init__(self, rater: Rater, docs: Sequence[Doc]) -> None:
        self._rater, self._docs, self.width = rater, docs, len(docs)
        digest = hashlib.sha256()
        for doc in docs:
            digest.update(json.dumps(doc).encode())
        self.name = f"{rater.name} {digest.hexdigest()}"

    def encode(self, texts: Sequence[str]) -> Any:
        """All texts with some documents, then with the next: a document is read once for all."""
        asked = [Query(f"anchor {row}", text) for row, text in enumerate(texts)]
        rows = extra("numpy", "eval").empty((len(asked), self.width), "float32")
        for start in range(0, self.width, BLOCK):
            block = self._docs[start : start + BLOCK]
            ratings = self._rater.rated(dict.fromkeys(asked, block), kept=False)
            rows[:, start : start + BLOCK] = [ratings[query] for query in asked]
        return rows


class Beginning:
    """What is known of a query before anything is rated: an order, and what first stages score."""

    def __init__(self, docs: Sequence[Doc], starts: Sequence[Retriever], seed: int) -> None:
        self._places = {doc.id: place for place, doc in enumerate(docs)}
        self._starts, self._draw = starts, random.Random(seed)

    def __call__(self, query: Query) -> tuple[Query, list[int], list[Any]]:
        count = len(self._places)
        if not self._starts:
            return query, self._draw.sample(range(count), count), []
        runs = [start.search([query], count) for start in self._starts]
        order = fused(runs, FusionOptions())[query.id]
        return query, [self._places[doc] for doc in order], [self._row(r[query.id]) for r in runs]

    def _row(self, scores: Mapping[str, float]) -> Any:
        """A score for every document; one that was not found has 0, or less where some have."""
        row = extra("numpy", "eval").full(len(self._places), min(0.0, *scores.values(), 0.0))
        row[[self._places[doc] for doc in scores]] = list(scores.values())
        return row


def _falling(ranked: Sequence[Doc]) -> dict[str, float]:
    return {doc.id: float(len(ranked) - place) for place, doc in enumerate(ranked)}


def _progress(done: int, missing: int) -> None:
    if done % 64 == 0:
        LOG.info("cur: %d of %d anchor queries are rated; a killed run goes on", done, missing)
