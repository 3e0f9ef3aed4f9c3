"""Collections by their `ir_datasets` id, such as `beir/scifact/test`.

The only file that imports `ir_datasets`, which fetches a collection on first use and checks it by
its hash. A corpus of more than `LARGE` documents (MS MARCO has 8.8 and 138 million) stays where
ir_datasets keeps it, and is asked for what a first stage found.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rerank.datasets.collection import (
    Dataset,
    Judged,
    Records,
    complete,
    docs,
    judgments,
    queries,
)
from rerank.datasets.lines import Place
from rerank.errors import InputError, extra
from rerank.records import Doc

LARGE = 1_000_000


@dataclass(frozen=True)
class Store(Mapping[str, Doc]):
    """A corpus that is looked up, document by document, and not held."""

    name: str
    found: Any  # an ir_datasets.Dataset

    @cached_property
    def store(self) -> Any:
        """Opened once: each call of ir_datasets opens another."""
        return self.found.docs_store()

    def __getitem__(self, doc: str) -> Doc:
        row = self.store.get(doc)
        return docs([(Place(f"irds:{self.name} docs"), _fields("doc_id", row))])[doc]

    def __iter__(self) -> Iterator[str]:
        return (row.doc_id for row in self.found.docs_iter())

    def __len__(self) -> int:
        return int(self.found.metadata()["docs"]["count"])


def read_irds(name: str) -> Dataset:
    """The collection of an id; a split is part of the id."""
    library = extra("ir_datasets", "eval")
    try:
        found = library.load(name)
    except KeyError:
        raise InputError(f"irds:{name}: ir_datasets has no such id") from None
    for kind in ("docs", "queries", "qrels"):
        if not found.has(kind):
            raise InputError(
                f"irds:{name}: this id has no {kind}; name one that has, with its split"
            )
    try:
        return complete(
            name,
            qrels=judgments(_judged(name, found)),
            queries=queries(_texts(f"irds:{name} queries", "query_id", found.queries_iter())),
            corpus=_corpus(name, found),
        )
    except (OSError, RuntimeError) as wrong:
        reason = " ".join(str(wrong).split())
        raise InputError(f"irds:{name}: cannot be loaded: {reason}") from wrong


def _corpus(name: str, found: Any) -> Mapping[str, Doc]:
    record: dict[str, Any] = getattr(
        found, "metadata", dict
    )()  # of every collection that ir_datasets ships
    if record.get("docs", {}).get("count", 0) > LARGE:
        return Store(name, found)
    return docs(_texts(f"irds:{name} docs", "doc_id", found.docs_iter()))


def _judged(name: str, found: Any) -> Judged:
    for number, qrel in enumerate(found.qrels_iter(), 1):
        yield Place(f"irds:{name} qrels", number), qrel.query_id, qrel.doc_id, qrel.relevance


def _texts(name: str, key: str, rows: Any) -> Records:
    """Title and text where a row has them, else the text that ir_datasets makes of its fields."""
    for number, row in enumerate(rows, 1):
        yield Place(name, number), _fields(key, row)


def _fields(key: str, row: Any) -> dict[str, Any]:
    fields = row._asdict()
    words = fields["text"] if "text" in fields else row.default_text()
    title = fields.get("title") if "text" in fields else None
    return {"_id": fields[key], "text": words, "title": title}
