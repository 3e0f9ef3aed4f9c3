"""Candidates and a teacher become examples: a query, its documents, what the teacher makes of them.

Law: a query is trained on or validated on, never both, and which of the two depends on its words
alone. The judgments of a test split are refused, and so is an oracle's run, which is made of them.
Chance comes from the seed, the epoch and the query, so a training that resumes sees the same lists.
"""

import logging
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import NamedTuple

from rerank import files
from rerank.datasets import Candidates, load, read_candidates, read_labels, read_qrels, read_run
from rerank.errors import InputError
from rerank.records import Doc, Query
from rerank.retrieve import BM25
from rerank.train.recipes import DataOptions

LOG = logging.getLogger(__name__)

WORTH = 10
"""Where a teacher gives no grades, its best document is worth this in validation, the next one
less, down to 0."""


class Example(NamedTuple):
    """`targets`: the teacher's, higher is better; `first`: the first stage's scores."""

    query: Query
    docs: tuple[Doc, ...]
    targets: tuple[float, ...]
    first: tuple[float, ...]


class Examples(NamedTuple):
    training: list[Example]
    validation: list[Example]


def examples(options: DataOptions) -> Examples:
    """All examples, apart by query. A query without two documents that differ teaches nothing."""
    candidates = read_candidates(Path(options.candidates))
    refuse_held_out(candidates, options)
    found = Examples([], [])
    for name, targets in _targets(options, candidates).items():
        example = _example(name, candidates, targets)
        if len(set(example.targets)) > 1:
            kept_back = not options.check and _share(example.query) < options.validation
            (found.validation if kept_back else found.training).append(example)
    for what, there in zip(("train on", "validate on"), found, strict=True):
        if not there and not (what == "validate on" and options.check):
            raise InputError(f"{options.candidates}: no query to {what}; the teacher knows too few")
    LOG.info("%d queries to train on, %d to validate on", *map(len, found))
    return found


def checks(options: DataOptions) -> dict[str, list[Example]]:
    """The collections to validate on: their queries, BM25's candidates and the judgments."""
    return {Path(source).name: _judged(source, options.check_docs) for source in options.check}


def shown(example: Example, count: int, shuffle: bool, chance: str) -> Example:
    """At most `count` of an example's documents, the teacher's best always among them."""
    draw = Random(f"{chance} {example.query.id}")
    every = range(len(example.docs))
    best = max(every, key=lambda place: example.targets[place])
    others = [place for place in every if place != best]
    kept = sorted([best, *draw.sample(others, min(count - 1, len(others)))])
    if shuffle:
        draw.shuffle(kept)
    return _only(example, kept)


def head(example: Example, count: int) -> Example:
    """The first `count` candidates, as a reranker gets them."""
    return _only(example, list(range(len(example.docs)))[:count])


def grades(example: Example, graded: bool) -> dict[str, int]:
    """What each document is worth in validation: its grade, or its place in the teacher's order."""
    names = [doc.id for doc in example.docs]
    if graded:
        return {name: int(grade) for name, grade in zip(names, example.targets, strict=True)}
    order = sorted(range(len(names)), key=lambda place: -example.targets[place])
    return {names[place]: max(0, WORTH - rank) for rank, place in enumerate(order)}


def refuse_held_out(candidates: Candidates, options: DataOptions) -> None:
    """Raise `InputError` where a query belongs to a collection that is kept for testing."""
    known = {words(query): query for query in candidates.queries.values()}
    for source in (*options.held_out, *options.check):
        for query in load(source).queries.values():
            if (text := words(query)) in known:
                raise InputError(
                    f"{options.candidates}: query {known[text].id!r} is query {query.id!r} of"
                    f" {source}, which is held out (key 'data.held_out')"
                )


def _judged(source: str, depth: int) -> list[Example]:
    """BM25's candidates for a collection's queries, with its judgments."""
    dataset = load(source)
    queries = [dataset.queries[name] for name in dataset.qrels]
    run = BM25.of(dataset.corpus.values()).search(queries, depth)
    found = []
    for query in queries:
        docs = tuple(dataset.corpus[name] for name in run[query.id])
        grades = tuple(float(max(0, dataset.qrels[query.id].get(doc.id, 0))) for doc in docs)
        if any(grades):
            found.append(Example(query, docs, grades, tuple(run[query.id].values())))
    return found


def _only(example: Example, kept: list[int]) -> Example:
    return Example(
        example.query,
        tuple(example.docs[place] for place in kept),
        tuple(example.targets[place] for place in kept),
        tuple(example.first[place] for place in kept),
    )


def _example(name: str, candidates: Candidates, targets: Mapping[str, float]) -> Example:
    """A document that nobody judged is not relevant; one that a run lacks is no candidate."""
    docs = tuple(doc for doc in candidates.docs[name] if doc.id in targets)
    first = tuple(candidates.scores[name][doc.id] for doc in docs)
    return Example(candidates.queries[name], docs, tuple(targets[d.id] for d in docs), first)


def _targets(options: DataOptions, candidates: Candidates) -> dict[str, dict[str, float]]:
    """What the teacher thinks of each candidate of the queries that it knows."""
    path = Path(options.file or options.candidates)
    if options.teacher in ("qrels", "labels"):
        refuse_test(path)
        judged = read_qrels(path) if options.teacher == "qrels" else read_labels(path)
        return {
            name: {doc.id: float(max(0, judged[name].get(doc.id, 0))) for doc in docs}
            for name, docs in candidates.docs.items()
            if name in judged
        }
    if options.file:
        refuse_oracle(path)
    run = read_run(path) if options.file else _own(options, candidates)
    known = {name: scores for name, scores in run.items() if name in candidates.docs}
    if options.teacher == "scores":
        return known
    return {name: _places(scores) for name, scores in known.items()}


def _own(options: DataOptions, candidates: Candidates) -> dict[str, dict[str, float]]:
    """The candidates' own scores, or their order in the file."""
    if options.teacher == "scores":
        return candidates.scores
    return {
        name: {doc.id: float(-place) for place, doc in enumerate(docs)}
        for name, docs in candidates.docs.items()
    }


def _places(scores: Mapping[str, float]) -> dict[str, float]:
    """1 / place: the same order, in numbers that gains and softmax can take."""
    order = sorted(scores, key=lambda doc: -scores[doc])
    return {doc: 1 / place for place, doc in enumerate(order, 1)}


def refuse_test(path: Path) -> None:
    """Raise `InputError` for a file whose name says that it judges a test split."""
    if "test" in re.split(r"[^a-z]+", path.name.lower()):
        raise InputError.at(path, None, "judgments of a test split are never trained on")


def refuse_oracle(path: Path) -> None:
    """Raise `InputError` for a run of the oracle over a test split: that is its judgments."""
    recipe = path.parent / "recipe.toml"
    if not recipe.is_file():
        return
    keys = files.read_toml(recipe)
    if keys.get("judge") == "oracle" and keys.get("split", "test") == "test":
        raise InputError.at(path, None, "an oracle's run is a test split's judgments")


def words(query: Query) -> str:
    """What makes two queries the same: case and spaces do not count."""
    return " ".join(query.text.casefold().split())


def _share(query: Query) -> float:
    """A number in [0, 1) that the query's words decide."""
    return int.from_bytes(sha256(words(query).encode()).digest()[:8]) / 2**64
