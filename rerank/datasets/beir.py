"""A collection as BEIR lays it out: `corpus.jsonl`, `queries.jsonl` and `qrels/<split>.tsv`.

Format: Thakur et al. 2021 (arXiv:2104.08663). `queries.jsonl` may hold more queries than are
judged, and all are kept; which are asked is the caller's choice.
"""

from pathlib import Path

from rerank.datasets.collection import Dataset, complete, docs, queries
from rerank.datasets.lines import records
from rerank.datasets.trec import read_qrels
from rerank.errors import InputError


def read_folder(folder: Path, split: str) -> Dataset:
    """The collection in a BEIR folder, with the judgments of one split."""
    return complete(
        folder.resolve().name,
        qrels=read_qrels(_judged(folder, split)),
        queries=queries(records(folder / "queries.jsonl")),
        corpus=docs(records(folder / "corpus.jsonl")),
    )


def _judged(folder: Path, split: str) -> Path:
    if (path := folder / "qrels" / f"{split}.tsv").is_file():
        return path
    there = sorted(other.stem for other in path.parent.glob("*.tsv"))
    raise InputError.at(path, None, f"no such split; there are: {', '.join(there) or 'none'}")
