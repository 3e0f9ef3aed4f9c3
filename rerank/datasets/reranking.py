"""MTEB's older reranking sets: a row for each query, with its relevant and its other texts.

Format: `query` (a text), `positive` and `negative` (lists of texts), as in the sets of MTEB 1.x
and C-MTEB; newer copies are laid out as BEIR's with `top_ranked`, which `hub` reads. The texts
have no ids, and where they stand says which are relevant: each gets a hash of itself as its id,
and the pool of a query is in the order of those. As in MTEB, a query that lacks relevant or other
texts is left out, and a text that stands in both lists of a query is relevant.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from rerank.datasets.collection import (
    Dataset,
    complete,
    docs,
    judgments,
    pooling,
    queries,
    required,
)
from rerank.datasets.hub import repository
from rerank.datasets.lines import Place
from rerank.recipes.suites import Entry

LENGTH = 16  # hexadecimal digits of an id: two of a million texts meet once in 37 million times


def read_reranking(entry: Entry) -> Dataset:
    """The queries of one split, each with a pool of its own."""
    there = repository(entry.source)
    table = there.rows(entry.subset or None, entry.split)
    read = [
        (at, row)
        for at, row in table
        if _texts(row, "positive", at) and _texts(row, "negative", at)
    ]
    found = [(at, row, _grades(row, at)) for at, row in read]
    named = {_id(text): (at, text) for at, row, _ in found for text in _both(row, at)}
    listed = complete(
        there.name,
        qrels=judgments(
            (at, _query(at), doc, grade) for at, _, grades in found for doc, grade in grades.items()
        ),
        queries=queries(
            (at, {"_id": _query(at), "text": required(row, "query", at)}) for at, row, _ in found
        ),
        corpus=docs((at, {"_id": name, "text": text}) for name, (at, text) in named.items()),
        origin=there.origin(there.table(entry.subset or None, entry.split)),
    )
    return pooling(listed, {_query(at): grades for at, _, grades in found})


def _grades(row: Mapping[str, Any], at: Place) -> dict[str, int]:
    relevant = dict.fromkeys(map(_id, _texts(row, "positive", at)), 1)
    return {**dict.fromkeys(map(_id, _texts(row, "negative", at)), 0), **relevant}


def _both(row: Mapping[str, Any], at: Place) -> list[str]:
    return [*_texts(row, "positive", at), *_texts(row, "negative", at)]


def _texts(row: Mapping[str, Any], key: str, at: Place) -> list[str]:
    texts = required(row, key, at)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise at.error(f"{key!r} must be a list of texts")
    return texts


def _query(at: Place) -> str:
    """Rows have no id; where a row stands is as lasting as its revision."""
    return f"q{at.line}"


def _id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]
