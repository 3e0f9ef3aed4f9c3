"""What a recipe ranks: queries, their candidates from the first stage, and the judgments.

A corpus is let go as soon as its candidates are found, so a suite of many datasets costs the
memory of its candidates; where a recipe wants neighbours, too, it stays.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rerank import datasets
from rerank.engines.models.checkpoints import tokenizer
from rerank.engines.tokenisation.tokens import Tokens
from rerank.errors import InputError
from rerank.evaluate.measures import at_level, parse
from rerank.methods import Method
from rerank.passages import Cut
from rerank.recipes import Recipe
from rerank.recipes.suites import Entry, Suite, read_suite
from rerank.records import Doc, Qrels, Query
from rerank.retrieve import refuse_unready
from rerank.retrieve.bm25 import BM25
from rerank.retrieve.extract import by_words, extracted
from rerank.retrieve.neighbours import Neighbours
from rerank.retrieve.sentences import parts_of
from rerank.tasks.first import search


@dataclass(frozen=True)
class Task:
    """One dataset, ready to rerank: judged queries only, where there are judgments.

    `retrieval` is what the first stage says of itself, `measures` are the names by which it is
    scored, `source` is where it was read, and `reference` what BM25 is known to reach on it.
    `neighbours` knows who is near whom in the corpus, if the recipe asks for it.
    """

    name: str
    candidates: dict[Query, list[Doc]]
    qrels: Qrels
    retrieval: Mapping[str, Any] = field(default_factory=dict)
    measures: tuple[str, ...] = ()
    source: str = ""
    reference: Mapping[str, float] = field(default_factory=dict)
    neighbours: Neighbours | None = None


def suite_of(recipe: Recipe) -> Suite:
    """The recipe's suite, or its one dataset as one; with the recipe's own depth and measures."""
    if recipe.suite:
        suite = read_suite(recipe.suite)
    else:
        suite = Suite(datasets=(Entry(source=recipe.dataset or ""),))
    own = {"measures": recipe.measures, "split": recipe.split}
    said = {key: value for key, value in own.items() if value is not None}
    entries = tuple(entry.model_copy(update=said) for entry in suite.datasets)
    depth = suite.depth if recipe.depth is None else recipe.depth
    return suite.model_copy(update={"datasets": entries, "depth": depth})


def measures_of(suite: Suite, entry: Entry) -> tuple[str, ...]:
    """The measures of a dataset; those without grades count from the entry's `relevant` on."""
    names = entry.measures or suite.measures
    return tuple(str(at_level(name, entry.relevant)) for name in names)


def load_tasks(recipe: Recipe, suite: Suite) -> Iterator[Task]:
    """Load each dataset of the suite and find its candidates; one at a time."""
    for name in [*recipe.retrieved, *(["bm25"] if recipe.neighbours else [])]:
        refuse_unready(name, recipe.stage(name))
    for entry in suite.datasets:
        first = recipe.first.replace("{dataset}", entry.label)
        if entry.source:
            task = _found(datasets.load_entry(entry), entry, first, recipe, suite.depth)
        else:
            task = _candidates_alone(Path(first), suite.depth)
        yield _limited(replace(task, measures=measures_of(suite, entry)), recipe.limit)


def _found(dataset: datasets.Dataset, entry: Entry, first: str, recipe: Recipe, depth: int) -> Task:
    """The first stage's best documents of each judged query, in the order of the judgments."""
    wanted = [dataset.queries[query] for query in dataset.qrels or dataset.queries]
    record: dict[str, Any] = {}
    if _is_candidates(first):
        docs = datasets.read_candidates(Path(first)).docs
        found = {query: _allowed(dataset, query, ranked)[:depth] for query, ranked in docs.items()}
    else:
        deep = _deep(dataset, wanted, depth)
        run, record = search(first, recipe, dataset, entry, wanted, deep)
        found = datasets.from_run(run, dataset, depth)
    if not any(query.id in found for query in wanted):
        raise InputError(f"{first}: none of its queries is judged in {dataset.name}")
    candidates = {query: found[query.id] for query in wanted if query.id in found}
    candidates = _extracted(recipe, candidates) if recipe.extract else candidates
    known = {str(parse(name)): value for name, value in entry.bm25.items()}
    return Task(
        dataset.name,
        candidates,
        dataset.qrels,
        record,
        source=dataset.origin,
        reference=known if first == "bm25" else {},
        neighbours=_neighbours(dataset, recipe) if recipe.neighbours else None,
    )


def _extracted(recipe: Recipe, candidates: dict[Query, list[Doc]]) -> dict[Query, list[Doc]]:
    assert recipe.extract
    words, tokens = recipe.extract.words, recipe.extract.tokens
    cut: Cut = by_words
    if tokens:
        assert recipe.model  # the recipe was checked
        cut = Tokens(tokenizer(recipe.model)).cut
    limit = words or tokens or 1
    return {query: extracted(query, docs, limit, cut) for query, docs in candidates.items()}


def _neighbours(dataset: datasets.Dataset, recipe: Recipe) -> Neighbours:
    index = BM25.of(dataset.corpus.values(), **dict(recipe.bm25))
    return Neighbours(index, dataset.corpus, recipe.near, dataset.candidates)


def method_of(recipe: Recipe) -> Method:
    """The recipe's row, which takes documents apart where the recipe says so."""
    return replace(recipe.row, parts=parts_of(recipe.parts)) if recipe.parts else recipe.row


def row_of(recipe: Recipe, task: Task, query: Query) -> Method:
    """The method for one query: an adaptive one knows who is near its candidates."""
    row = method_of(recipe)
    if task.neighbours is None:
        return row
    near = {"neighbours": task.neighbours.beside(query, task.candidates[query])}
    return replace(row, options={**row.options, **near})


def _deep(dataset: datasets.Dataset, wanted: list[Query], depth: int) -> int:
    """How much to look for, so that `depth` is left of it, and the whole of what is given."""
    excluded = max((len(dataset.excluded.get(query.id, ())) for query in wanted), default=0)
    given = max((len(dataset.pools.get(query.id, ())) for query in wanted), default=0)
    return max(depth + excluded, given)


def _allowed(dataset: datasets.Dataset, query: str, ranked: list[Doc]) -> list[Doc]:
    by_id = {doc.id: doc for doc in ranked}
    return [by_id[doc] for doc in dataset.candidates(query, by_id)]


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
