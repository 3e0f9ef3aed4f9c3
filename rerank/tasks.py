"""What a recipe ranks: queries, their candidates from the first stage, and the judgments.

A corpus is let go as soon as its candidates are found, so a suite of many datasets costs the
memory of its candidates.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rerank import datasets
from rerank.errors import InputError
from rerank.first import search
from rerank.recipes import Recipe, Suite, read_suite
from rerank.records import Doc, Qrels, Query
from rerank.retrieve.extract import extracted


@dataclass(frozen=True)
class Task:
    """One dataset, ready to rerank: judged queries only, where there are judgments."""

    name: str
    candidates: dict[Query, list[Doc]]
    qrels: Qrels
    retrieval: Mapping[str, Any] = field(default_factory=dict)
    """What the first stage says of itself."""


def suite_of(recipe: Recipe) -> Suite:
    """The recipe's suite, or its one dataset as one; with the recipe's own depth and measures."""
    own = {"depth": recipe.depth, "measures": recipe.measures, "split": recipe.split}
    suite = read_suite(recipe.suite) if recipe.suite else Suite(datasets=(recipe.dataset or "",))
    return suite.model_copy(update={key: value for key, value in own.items() if value is not None})


def load_tasks(recipe: Recipe, suite: Suite) -> Iterator[Task]:
    """Load each dataset of the suite and find its candidates; one at a time."""
    for source in suite.datasets:
        first = recipe.first.replace("{dataset}", source)
        if not source:
            yield _limited(_candidates_alone(Path(first), suite.depth), recipe.limit)
        else:
            dataset = datasets.load(source, suite.split)
            task = _found(dataset, source, first, recipe, suite.depth)
            yield _limited(task, recipe.limit)


def _found(dataset: datasets.Dataset, source: str, first: str, recipe: Recipe, depth: int) -> Task:
    """The first stage's best documents of each judged query, in the order of the judgments."""
    wanted = [dataset.queries[query] for query in dataset.qrels or dataset.queries]
    record: dict[str, Any] = {}
    if _is_candidates(first):
        docs = datasets.read_candidates(Path(first)).docs
        found = {query: ranked[:depth] for query, ranked in docs.items()}
    else:
        run, record = search(first, recipe, dataset, source, wanted, depth)
        found = datasets.from_run(run, dataset, depth)
    if not any(query.id in found for query in wanted):
        raise InputError(f"{first}: none of its queries is judged in {dataset.name}")
    candidates = {query: found[query.id] for query in wanted if query.id in found}
    if recipe.extract:
        words = recipe.extract.words
        candidates = {query: extracted(query, docs, words) for query, docs in candidates.items()}
    return Task(dataset.name, candidates, dataset.qrels, record)


def _candidates_alone(path: Path, depth: int) -> Task:
    """Candidates that bring their own queries, without judgments: ranked, not scored."""
    if not _is_candidates(path.name):
        raise InputError.at(path, None, "a TREC run needs a dataset for its texts")
    found = datasets.read_candidates(path)
    return Task(path.stem, {q: found.docs[q.id][:depth] for q in found.queries.values()}, {})


def _is_candidates(first: str) -> bool:
    return first.removesuffix(".gz").endswith((".jsonl", ".json"))


def _limited(task: Task, limit: int | None) -> Task:
    """The first `limit` queries and their judgments; all of them where there is no limit."""
    if limit is None:
        return task
    kept = dict(list(task.candidates.items())[:limit])
    ids = {query.id for query in kept}
    qrels = {query: grades for query, grades in task.qrels.items() if query in ids}
    return replace(task, candidates=kept, qrels=qrels)
