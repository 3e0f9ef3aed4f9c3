"""Collections by their `ir_datasets` id, such as `beir/scifact/test`.

The only file that imports `ir_datasets`, which fetches a collection on first use.
"""

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
            corpus=docs(_texts(f"irds:{name} docs", "doc_id", found.docs_iter())),
        )
    except (OSError, RuntimeError) as wrong:
        reason = " ".join(str(wrong).split())
        raise InputError(f"irds:{name}: cannot be loaded: {reason}") from wrong


def _judged(name: str, found: Any) -> Judged:
    for number, qrel in enumerate(found.qrels_iter(), 1):
        yield Place(f"irds:{name} qrels", number), qrel.query_id, qrel.doc_id, qrel.relevance


def _texts(name: str, key: str, rows: Any) -> Records:
    """Title and text where a row has them, else the text that ir_datasets makes of its fields."""
    for number, row in enumerate(rows, 1):
        fields = row._asdict()
        words = fields["text"] if "text" in fields else row.default_text()
        title = fields.get("title") if "text" in fields else None
        yield Place(name, number), {"_id": fields[key], "text": words, "title": title}
