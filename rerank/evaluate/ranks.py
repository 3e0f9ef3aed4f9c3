"""Where a run has the judged documents, which is all that a measure needs to know of it.

Law: scores tie and ties break as in trec_eval 9.0 and pytrec_eval (32-bit floats; the last document
id in byte order first) unless another rule is asked for by name, and under every rule but "file"
nothing depends on the order in which queries and documents are given. This module knows no measure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from math import isfinite
from typing import Any, Literal, NamedTuple, TypeAlias

from rerank.errors import InputError, extra
from rerank.records import Qrels, Run

Array: TypeAlias = Any
"""A numpy array."""

Ties: TypeAlias = Literal["ids", "file", "expected", "best", "worst"]
"""Equal scores: by document id, as in the run, in all orders at once, in a run's best or worst."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where a run has the judged documents of each query; a negative grade is no judgment.

    An entry of `query` (a place in `queries`), `first`, `tied` and `grade` is a judged document
    that the run has, by query and rank. It shares `tied` ranks, of which `first` is the first, with
    the other documents of equal score; where `tied` is 1, its rank is `first`. `all_query` and
    `all_grade` are all judged documents by query and falling grade; `retrieved` is the number of
    documents that the run has for each query.
    """

    queries: Sequence[str]
    query: Array
    first: Array
    tied: Array
    grade: Array
    all_query: Array
    all_grade: Array
    retrieved: Array


class Groups(NamedTuple):
    """The groups of equal scores that have a relevant document, by query and rank.

    Of a group's `tied` documents `count` are relevant; `before` are so in the query's earlier ones.
    """

    query: Array
    first: Array
    tied: Array
    count: Array
    before: Array


def ranks(qrels: Qrels, run: Run, ties: Ties = "ids") -> Ranks:
    """Find the judged documents in a run.

    "ids" and "file" decide equal scores (32-bit floats; as they are in the run), "best" and "worst"
    put the highest grade first or last among them, "expected" leaves them tied. A score that is not
    finite and a grade that is no whole number are InputErrors.
    """
    np = extra("numpy", "eval")
    all_query, all_grade = _judgments(qrels)
    with np.errstate(over="ignore"):  # what a 32-bit float cannot hold is infinite to trec_eval too
        entries = np.fromiter(chain.from_iterable(_entries(qrels, run, ties)), int)
    retrieved = np.array([len(run.get(query, ())) for query in qrels])
    query, first, tied, grade = entries.reshape(-1, 4).T
    found = _sorted(Ranks(tuple(qrels), query, first, tied, grade, all_query, all_grade, retrieved))
    return found if ties in ("ids", "file", "expected") else _arranged(found, ties == "best")


def condensed(found: Ranks) -> Ranks:
    """Rank the judged documents alone (Sakai 2007)."""
    np = extra("numpy", "eval")
    start, count = starts(found.query, found.first)
    of_query = np.searchsorted(found.query, found.query[start])
    return replace(
        found,
        first=np.repeat(start - of_query + 1, count),
        tied=np.where(found.tied == 1, 1, np.repeat(count, count)),
        retrieved=np.bincount(found.query, minlength=len(found.queries)),
    )


def groups(found: Ranks, level: int) -> Groups:
    """Where the documents of grade `level` or more are."""
    np = extra("numpy", "eval")
    relevant = found.grade >= level
    query, first, tied = (a[relevant] for a in (found.query, found.first, found.tied))
    start, count = starts(query, first)
    before = start - np.searchsorted(query, query[start])
    return Groups(query[start], first[start], tied[start], count, before)


def _judgments(qrels: Qrels) -> tuple[Array, Array]:
    """Query and grade of all judgments, by query and falling grade."""
    np = extra("numpy", "eval")
    for query, grades in qrels.items():
        if odd := [doc for doc, grade in grades.items() if grade % 1]:
            what = f"the grade of {odd[0]} is no whole number: {grades[odd[0]]}"
            raise InputError(f"query {query}: {what}")
    grade = np.array([grade for grades in qrels.values() for grade in grades.values()], int)
    query = np.repeat(np.arange(len(qrels)), [len(grades) for grades in qrels.values()])
    order = np.lexsort((-grade, query))
    order = order[grade[order] >= 0]
    return query[order], grade[order]


def _entries(qrels: Qrels, run: Run, ties: Ties) -> Iterator[tuple[int, int, int, int]]:
    for row, (query, grades) in enumerate(qrels.items()):
        scores = run.get(query) or {}
        found = [doc for doc, grade in grades.items() if grade >= 0 and doc in scores]
        first, tied = _places(query, scores, found, ties)
        yield from zip(repeat(row), first, tied, map(grades.__getitem__, found), strict=False)


def _places(
    query: str, scores: Mapping[str, float], found: Sequence[str], ties: Ties
) -> tuple[list[int], list[int]]:
    np = extra("numpy", "eval")
    values = np.fromiter(scores.values(), float, len(scores))
    if not np.isfinite(values).all():
        doc = next(doc for doc, score in scores.items() if not isfinite(score))
        raise InputError(f"query {query}: document {doc} has no finite score: {scores[doc]}")
    exact = float if ties == "file" else np.float32
    rising = np.sort(values.astype(exact))
    mine = np.array([scores[doc] for doc in found], exact)
    upto = np.searchsorted(rising, mine, "right")
    first, tied = len(scores) - upto + 1, upto - np.searchsorted(rising, mine)
    if ties in ("ids", "file") and (tied > 1).any():
        docs = sorted(scores, reverse=True) if ties == "ids" else list(scores)
        return _decided(docs, scores, found, exact), [1] * len(found)
    return first.tolist(), tied.tolist()


def _decided(
    docs: Sequence[str], scores: Mapping[str, float], found: Sequence[str], exact: Any
) -> list[int]:
    """Ranks by falling score, where equal scores stand in the order of `docs`.

    Code points, by which Python sorts its strings, sort as the bytes of UTF-8 do.
    """
    np = extra("numpy", "eval")
    order = np.argsort(-np.array([scores[doc] for doc in docs], exact), kind="stable")
    rank = np.empty(len(docs), int)
    rank[order] = np.arange(1, len(docs) + 1)
    place = {doc: number for number, doc in enumerate(docs)}
    return list(rank[[place[doc] for doc in found]].tolist())


def _sorted(found: Ranks) -> Ranks:
    """By query and rank; within a group of equal scores by falling grade."""
    np = extra("numpy", "eval")
    order = np.lexsort((-found.grade, found.first, found.query))
    query, first, tied, grade = (
        a[order] for a in (found.query, found.first, found.tied, found.grade)
    )
    return replace(found, query=query, first=first, tied=tied, grade=grade)


def _arranged(found: Ranks, best: bool) -> Ranks:
    """Decide each group for the run or against it; documents without a judgment are the worst."""
    np = extra("numpy", "eval")
    start, count = starts(found.query, found.first)
    place = np.arange(len(found.query)) - np.repeat(start, count)
    first = found.first + (place if best else found.tied - 1 - place)
    return _sorted(replace(found, first=first, tied=np.ones_like(found.tied)))


def starts(query: Array, first: Array) -> tuple[Array, Array]:
    """Where each group of entries that share query and first rank begins, and its length."""
    np = extra("numpy", "eval")
    new = np.ones(len(query), bool)
    new[1:] = (query[1:] != query[:-1]) | (first[1:] != first[:-1])
    start = np.flatnonzero(new)
    return start, np.diff(np.append(start, len(query)))
