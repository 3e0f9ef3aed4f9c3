"""The first stage of a recipe: a retriever by name, a run file, or several made one (`hybrid`).

It says which documents each query gets and what was measured on the way; texts are joined to them
elsewhere.
"""

import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from rerank import datasets
from rerank.datasets import Dataset
from rerank.errors import InputError, UsageError
from rerank.evaluate import evaluate, parse
from rerank.recipes import Recipe
from rerank.recipes.stages import FusionOptions, PassageOptions
from rerank.recipes.suites import Entry
from rerank.records import Doc, Query, Run
from rerank.retrieve import RETRIEVERS, Ranks, Retriever
from rerank.retrieve.expansion import expanded
from rerank.retrieve.fusion import fitted, fused
from rerank.retrieve.sentences import Passages
from rerank.tasks.rating import Rater
from rerank.tasks.searching import by_ratings

LOG = logging.getLogger(__name__)


class Found(NamedTuple):
    """A first stage's run, with its own scores, and its record for result.json."""

    run: Run
    record: dict[str, Any]


def search(
    first: str, recipe: Recipe, dataset: Dataset, entry: Entry, queries: Sequence[Query], depth: int
) -> Found:
    """What a first stage finds for the queries: at most `depth` documents each, best first.

    A query with candidates of its own gets all of those instead.
    """
    if first == "hybrid":
        return _hybrid(recipe, dataset, entry, queries, depth)
    if first == "feedback":
        return _taught(recipe, dataset, entry, queries, depth)
    if first == "cur":
        return _rated(recipe, dataset, entry, queries, depth)
    if first in RETRIEVERS and recipe.expansion:
        queries = expanded(queries, recipe.expansion, by_words=first != "dense")
    if first in RETRIEVERS and recipe.passages:
        return _by_passages(first, recipe, recipe.passages, dataset, queries, depth)
    if first in RETRIEVERS:
        retriever = RETRIEVERS[first](dataset.corpus.values(), recipe.stage(first))
        run = _asked(retriever, first, dataset, queries, depth)
        return Found(run, dict(retriever.record))
    return Found(datasets.read_run(Path(first)), {})


def _asked(
    retriever: Retriever, first: str, dataset: Dataset, queries: Sequence[Query], depth: int
) -> Run:
    """What a retriever finds in the corpus, or how it ranks the candidates that are given."""
    given = [query for query in queries if query.id in dataset.pools]
    if given and not isinstance(retriever, Ranks):
        raise _given(first, dataset)
    run = retriever.rank(given, dataset.pools) if given and isinstance(retriever, Ranks) else {}
    free = [query for query in queries if query.id not in dataset.pools]
    return {**run, **(retriever.search(free, depth) if free else {})}


def _by_passages(
    first: str,
    recipe: Recipe,
    options: PassageOptions,
    dataset: Dataset,
    queries: Sequence[Query],
    depth: int,
) -> Found:
    """Search windows of the documents; a document's score is made of its passages'."""
    if dataset.pools:
        raise _given("passages", dataset)
    passages = Passages.of(dataset.corpus.values(), options)
    retriever = RETRIEVERS[first](passages.corpus, recipe.stage(first))
    found = retriever.search(queries, depth if options.score == "first" else depth * options.deep)
    return Found(passages.joined(found, depth), dict(retriever.record))


def _hybrid(
    recipe: Recipe, dataset: Dataset, entry: Entry, queries: Sequence[Query], depth: int
) -> Found:
    options = recipe.fusion
    training = _training(options.train, entry, queries) if options.train else None
    asked = (
        [*queries, *(training.queries[query] for query in training.qrels)] if training else queries
    )
    names = [name.replace("{dataset}", entry.label) for name in options.of]
    parts = [
        search(name, recipe, dataset, entry, asked, max(depth, options.depth)) for name in names
    ]
    record: dict[str, Any] = {
        name: part.record for name, part in zip(names, parts, strict=True) if part.record
    }
    if training:
        options = _fitted(options, [part.run for part in parts], training)
        record["weights"] = list(options.weights or ())
    wanted = {query.id for query in queries}
    runs = [{query: docs for query, docs in part.run.items() if query in wanted} for part in parts]
    return Found(fused(runs, options, depth), record)


def _taught(
    recipe: Recipe, dataset: Dataset, entry: Entry, queries: Sequence[Query], depth: int
) -> Found:
    """Dense retrieval with queries that learned from a reranker's run."""
    from rerank.retrieve.dense import Dense
    from rerank.retrieve.feedback import Teacher

    options = recipe.feedback
    assert options is not None
    if dataset.pools:
        raise _given("feedback", dataset)
    dense = Dense(dataset.corpus.values(), recipe.dense)
    runs = [
        datasets.read_run(Path(path.replace("{dataset}", entry.label))) if path else None
        for path in (options.order, options.scores)
    ]
    record: dict[str, Any] = {}
    if options.scorer:
        with closing(Rater(options.scorer)) as rater:
            best = dense.search(queries, options.top)
            runs[1] = rater.scored(_texts(best, queries, dataset))
            record = rater.record()
    teacher = Teacher(dense, runs[0], runs[1], options)
    run = dense.nearest(queries, teacher.moved(queries), depth)
    return Found(run, dense.record | teacher.record | record)


def _texts(run: Run, queries: Sequence[Query], dataset: Dataset) -> dict[Query, list[Doc]]:
    return {query: [dataset.corpus[doc] for doc in run[query.id]] for query in queries}


def _rated(
    recipe: Recipe, dataset: Dataset, entry: Entry, queries: Sequence[Query], depth: int
) -> Found:
    """What a model that rates finds by itself, with few ratings for each query."""
    options = recipe.cur
    assert options is not None
    if dataset.pools:
        raise _given("cur", dataset)
    anchors: Sequence[Query] = ()
    if options.queries:
        training = _training(options.queries, entry, queries)
        anchors = [training.queries[query] for query in training.qrels]
    tables: dict[str, Any] = {name: recipe.stage(name) for name in options.start}
    return Found(*by_ratings(dataset, queries, depth, options, tables, anchors))


def _given(what: str, dataset: Dataset) -> UsageError:
    return UsageError(
        f"{dataset.name} gives the candidates of each query, and {what} searches a corpus; "
        'use first = "bm25" or "dense" alone'
    )


def _training(split: str, entry: Entry, queries: Sequence[Query]) -> Dataset:
    """The queries and judgments of a split to learn from; none of its queries is ranked."""
    training = datasets.load_entry(
        entry.model_copy(update={"split": split, "queries": None, "qrels": ""})
    )
    tested = {part for query in queries for part in (query.id, query.text)}
    asked = [training.queries[query] for query in training.qrels]
    if both := [query for query in asked if tested & {query.id, query.text}]:
        raise InputError(
            f"{entry.label}: {len(both)} of {len(asked)} queries of split {split} are"
            f" ranked too, the first is {both[0].id!r}; what is fitted learns from other queries"
        )
    return training


def _fitted(options: FusionOptions, runs: Sequence[Run], training: Dataset) -> FusionOptions:
    """The options with the weights that are best for the training queries."""
    learned = [{query: run.get(query, {}) for query in training.qrels} for run in runs]

    def value(run: Run) -> float:
        ranked = {
            query: {doc: -float(place) for place, doc in enumerate(docs)}
            for query, docs in run.items()
        }
        (mean,) = evaluate(training.qrels, ranked, [options.measure]).mean.values()
        return -mean if parse(options.measure).less_is_better else mean

    weights = fitted(learned, options, value)
    LOG.info("fusion weights by %s of split %s: %s", options.measure, options.train, weights)
    return options.model_copy(update={"weights": weights})
