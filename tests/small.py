"""A small collection in BEIR's format, in which BM25 finds every document for every query."""

import json
from pathlib import Path

QUERIES, DOCS = 4, 12


def beir(folder: Path, queries: int = QUERIES, docs: int = DOCS) -> Path:
    """Write it to `folder`; grades 0-3 have little to do with BM25's order."""
    (folder / "qrels").mkdir(parents=True)
    asked = [{"_id": f"q{q}", "text": f"term{q} common"} for q in range(queries)]
    corpus = [{"_id": f"d{d}", "title": "", "text": _text(d, queries)} for d in range(docs)]
    for name, rows in (("queries", asked), ("corpus", corpus)):
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines)
    judged = [f"q{q}\td{d}\t{(3 * d + q) % 4}\n" for q in range(queries) for d in range(docs)]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))
    return folder


def _text(doc: int, queries: int) -> str:
    """Words of every query, each as often as the document's number has it."""
    words = [f"term{q} " * ((7 * doc + 5 * q) % 5 + 1) for q in range(queries)]
    return f"common document{doc} {''.join(words)}"
