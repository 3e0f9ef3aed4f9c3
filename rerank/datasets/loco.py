"""LoCoV1: long documents. The documents in one repository, the queries with answers in another.

Format: Saad-Falcon et al. 2024 (arXiv:2402.07440), `hazyresearch/LoCoV1-Documents` (dataset, pid,
passage) and `hazyresearch/LoCoV1-Queries` (dataset, qid, query, answer_pids). `dataset` tells the
twelve subsets apart. An answer that is no document of the subset stays judged, and is not found.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rerank.datasets.collection import Dataset, Judged, complete, docs, judgments, queries, required
from rerank.datasets.hub import Repository, repository
from rerank.datasets.lines import Place
from rerank.errors import InputError
from rerank.recipes.suites import Entry

Rows = Iterator[tuple[Place, dict[str, Any]]]


def read_loco(entry: Entry) -> Dataset:
    """One subset; `source` has the queries, `corpus` the documents."""
    if not (entry.subset and entry.corpus):
        raise InputError(f"{entry.source}: format loco needs 'subset' and 'corpus'")
    asked, texts = repository(entry.source), repository(entry.corpus)
    questions = list(_of(asked, entry))
    return complete(
        f"loco-{entry.subset}",
        qrels=judgments(_judged(questions)),
        queries=queries((at, _named(row, "qid", "query", at)) for at, row in questions),
        corpus=docs((at, _named(row, "pid", "passage", at)) for at, row in _of(texts, entry)),
        origin=", ".join(r.origin(r.table(None, entry.split)) for r in (asked, texts)),
    )


def _of(there: Repository, entry: Entry) -> Rows:
    """The rows of one subset."""
    known: set[object] = set()
    empty = True
    for at, row in there.rows(None, entry.split):
        known.add(name := required(row, "dataset", at))
        if name == entry.subset:
            empty = False
            yield at, row
    if empty:
        has = ", ".join(sorted(map(str, known)))
        raise InputError(f"hub:{there.name}: no subset {entry.subset!r}; there is {has}")


def _judged(questions: list[tuple[Place, dict[str, Any]]]) -> Judged:
    for at, row in questions:
        for doc in dict.fromkeys(required(row, "answer_pids", at)):
            yield at, required(row, "qid", at), doc, 1


def _named(row: Mapping[str, Any], name: str, text: str, at: Place) -> dict[str, Any]:
    return {"_id": required(row, name, at), "text": required(row, text, at)}
