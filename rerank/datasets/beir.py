"""A collection as BEIR lays it out: `corpus.jsonl`, `queries.jsonl` and `qrels/<split>.tsv`.

Each may be gzip and end in `.gz`; two files of one part are refused, for which of them counts?

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
        queries=queries(records(_plain_or_packed(folder / "queries.jsonl"))),
        corpus=docs(records(_plain_or_packed(folder / "corpus.jsonl"))),
    )


def _plain_or_packed(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.gz")
    if path.is_file() and packed.is_file():
        raise InputError.at(path, None, f"{packed.name} is there too; remove one of them")
    return packed if packed.is_file() else path


def _judged(folder: Path, split: str) -> Path:
    if (path := _plain_or_packed(folder / "qrels" / f"{split}.tsv")).is_file():
        return path
    found = (other.name.removesuffix(".gz") for other in path.parent.glob("*.tsv*"))
    there = sorted(name.removesuffix(".tsv") for name in found)
    raise InputError.at(path, None, f"no such split; there are: {', '.join(there) or 'none'}")
