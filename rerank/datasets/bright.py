"""BRIGHT: questions that take reasoning, with documents that are no candidates of some of them.

Format: Su et al. 2024 (arXiv:2407.12883), `xlangai/BRIGHT`: the configurations `documents` (id,
content) and `examples` (id, query, gold_ids, excluded_ids), a split for each subset. What is
excluded is neither ranked nor counted: mostly the very page that the question was taken from.
Split `long` is the variant with whole pages: `long_documents` and `gold_ids_long`.
"""

from collections.abc import Mapping
from typing import Any

from rerank.datasets.collection import (
    Dataset,
    Judged,
    Records,
    complete,
    docs,
    excluding,
    identifier,
    judgments,
    queries,
    required,
)
from rerank.datasets.hub import Repository, repository
from rerank.datasets.lines import Place
from rerank.errors import InputError
from rerank.recipes.suites import Entry

NOTHING = "N/A"  # what stands in a list of ids that has none


def read_bright(entry: Entry) -> Dataset:
    """One subset of BRIGHT, with what is excluded for each of its queries."""
    if not entry.subset:
        raise InputError(f'{entry.source}: BRIGHT has subsets; name one: subset = "biology"')
    there, long = repository(entry.source), entry.split == "long"
    examples = list(there.rows("examples", entry.subset))
    read = complete(
        f"bright-{entry.subset}",
        qrels=judgments(_judged(examples, "gold_ids_long" if long else "gold_ids")),
        queries=queries((at, _named(row, "query", at)) for at, row in examples),
        corpus=docs(_texts(there, "long_documents" if long else "documents", entry.subset)),
        origin=there.origin(there.table("examples", entry.subset)),
    )
    return excluding(read, {_id(row, at): _ids(row, "excluded_ids", at) for at, row in examples})


def _judged(examples: list[tuple[Place, dict[str, Any]]], key: str) -> Judged:
    for at, row in examples:
        excluded = _ids(row, "excluded_ids", at)
        for doc in dict.fromkeys(_ids(row, key, at)):
            if doc in excluded:
                raise at.error(f"document {doc!r} is both in {key!r} and in 'excluded_ids'")
            yield at, _id(row, at), doc, 1


def _texts(there: Repository, config: str, subset: str) -> Records:
    return ((at, _named(row, "content", at)) for at, row in there.rows(config, subset))


def _named(row: Mapping[str, Any], text: str, at: Place) -> dict[str, Any]:
    return {"_id": required(row, "id", at), "text": required(row, text, at)}


def _id(row: Mapping[str, Any], at: Place) -> str:
    return identifier(required(row, "id", at), "id", at)


def _ids(row: Mapping[str, Any], key: str, at: Place) -> list[str]:
    listed = required(row, key, at)
    return [identifier(doc, key, at) for doc in listed if doc != NOTHING]
