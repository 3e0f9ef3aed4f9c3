"""What a collection is, whatever it was read from: texts by id, and who judged what how relevant.

An id is a whole number or a text without white space: a TREC run, where every ranking ends
up, cannot carry another. A query has words; a document may be empty (BEIR's fiqa has 38 such)
but must say so: a text that is missing is an error. Files and formats are unknown here.
"""

import hashlib
import reprlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

from rerank.datasets.lines import Place
from rerank.errors import InputError
from rerank.records import Doc, Qrels, Query

T = TypeVar("T", Query, Doc)

Records: TypeAlias = Iterable[tuple[Place, Mapping[str, Any]]]
"""Rows with the keys `_id`, `text` and perhaps `title`, and where each stands."""

Judged: TypeAlias = Iterable[tuple[Place, object, object, object]]
"""Rows of query id, document id and grade, and where each stands."""


Listed: TypeAlias = Mapping[str, Collection[str]]
"""Document ids by query id."""


@dataclass(frozen=True)
class Dataset:
    """A test collection. Documents may be judged that its corpus does not hold.

    `pools` are the only candidates of a query, where it has some; `excluded` are no candidates of
    it, whoever finds them. `origin` says where it was read, if not
    where it was asked for: at which revision.
    """

    name: str
    queries: dict[str, Query]
    qrels: Qrels
    corpus: Mapping[str, Doc]
    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    excluded: Listed = field(default_factory=dict)
    origin: str = field(default="", compare=False)

    def candidates(self, query: str, docs: Iterable[str]) -> list[str]:
        """Those of some documents that may be candidates of a query, in their order."""
        excluded, pool = self.excluded.get(query, ()), self.pools.get(query)
        allowed = docs if pool is None else filter(frozenset(pool).__contains__, docs)
        return [doc for doc in allowed if doc not in excluded]


def complete(
    name: str,
    *,
    queries: dict[str, Query],
    qrels: Qrels,
    corpus: Mapping[str, Doc],
    origin: str = "",
) -> Dataset:
    """A dataset of which no part is empty and every judged query has text."""
    for part, found in [("documents", corpus), ("queries", queries), ("judgments", qrels)]:
        if not found:
            raise InputError(f"{name}: there are no {part} in it")
    if lost := [asked for asked in qrels if asked not in queries]:
        raise InputError(
            f"{name}: {len(lost)} of {len(qrels)} judged queries have no text; "
            f"the first is {lost[0]!r}"
        )
    return Dataset(name, queries, qrels, corpus, origin=origin)


def excluding(dataset: Dataset, excluded: Listed) -> Dataset:
    """The dataset without some documents of some queries: no candidates, and never judged."""
    both = {
        query: frozenset(dataset.excluded.get(query, ())) | frozenset(excluded.get(query, ()))
        for query in {**dataset.excluded, **excluded}
    }
    kept = {
        query: {doc: grade for doc, grade in judged.items() if doc not in both.get(query, ())}
        for query, judged in dataset.qrels.items()
    }
    return replace(dataset, qrels=kept, excluded=both)


def pooling(dataset: Dataset, pools: Listed) -> Dataset:
    """The dataset with the only candidates of its queries.

    A pool is ordered by a hash of the ids: as it was stored, it may have the relevant first.
    """
    return replace(dataset, pools={query: _blind(pool) for query, pool in pools.items()})


def _blind(docs: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted({*docs}, key=lambda doc: hashlib.sha256(doc.encode()).digest()))


def docs(rows: Records) -> dict[str, Doc]:
    """Documents by id, in the order of their rows."""
    return _by_id("document", ((at, _doc(row, at)) for at, row in rows))


def queries(rows: Records) -> dict[str, Query]:
    """Queries by id, in the order of their rows."""
    return _by_id("query", ((at, query(row, "_id", at)) for at, row in rows))


def judgments(rows: Judged) -> Qrels:
    """Qrels from rows of query id, document id and grade; a pair is judged once."""
    qrels: Qrels = {}
    first: dict[tuple[str, str], Place] = {}
    for at, query_id, doc_id, grade in rows:
        pair = identifier(query_id, "query-id", at), identifier(doc_id, "corpus-id", at)
        if (before := first.setdefault(pair, at)) is not at:
            raise at.error(f"document {pair[1]!r} is judged for query {pair[0]!r} at {before} too")
        qrels.setdefault(pair[0], {})[pair[1]] = _grade(grade, at)
    return qrels


def query(row: Mapping[str, Any], key: str, at: Place) -> Query:
    """A query from a row with its id under `key` and its words under `text`."""
    if not (words := text(row, "text", at)).strip():
        raise at.error("'text' is empty; a query needs words")
    return Query(identifier(required(row, key, at), key, at), words)


def identifier(value: object, key: str, at: Place) -> str:
    """The id that stands under a key."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise at.error(f"{key!r} must be a text or a whole number, not {reprlib.repr(value)}")
    if value.split() != [value]:
        raise at.error(f"{key!r} must be a text without white space, and not empty: {value!r}")
    return value


def text(row: Mapping[str, Any], key: str, at: Place) -> str:
    """The text under a key, which may be empty."""
    if not isinstance(value := required(row, key, at), str):
        raise at.error(f"{key!r} must be a text, not {reprlib.repr(value)}")
    return value


def title(row: Mapping[str, Any], at: Place) -> str:
    """The title, or nothing where there is none."""
    return "" if row.get("title") is None else text(row, "title", at)


def required(row: Mapping[str, Any], key: str, at: Place) -> Any:
    """What is under a key that must be there, and not null."""
    if (value := row.get(key)) is None:
        if key in row:
            raise at.error(f"{key!r} is null")
        raise at.error(f"no {key!r}; there is {', '.join(map(repr, row)) or 'nothing'}")
    return value


def _grade(value: object, at: Place) -> int:
    """Tables often keep whole grades as floats: 1.0 is a grade, 0.5 is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:
        raise at.error(f"a grade must be a whole number, not {value!r}")
    return int(value)


def _doc(row: Mapping[str, Any], at: Place) -> Doc:
    return Doc(
        identifier(required(row, "_id", at), "_id", at), text(row, "text", at), title(row, at)
    )


def _by_id(kind: str, rows: Iterable[tuple[Place, T]]) -> dict[str, T]:
    found: dict[str, T] = {}
    for at, item in rows:
        if item.id in found:
            raise at.error(f"{kind} {item.id!r} is there twice")
        found[item.id] = item
    return found
