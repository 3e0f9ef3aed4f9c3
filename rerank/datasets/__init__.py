"""Collections, candidates, runs and judgments: what is wrong in one is named, never guessed."""

from pathlib import Path

from rerank import files
from rerank.datasets.beir import read_folder
from rerank.datasets.candidates import Candidates, from_run, read_candidates, write_candidates
from rerank.datasets.collection import Dataset
from rerank.datasets.hub import read_hub
from rerank.datasets.irds import read_irds
from rerank.datasets.trec import read_qrels, read_run
from rerank.errors import InputError

__all__ = [
    "Candidates",
    "Dataset",
    "from_run",
    "load",
    "read_candidates",
    "read_qrels",
    "read_run",
    "write_candidates",
]


def load(source: str, split: str = "test") -> Dataset:
    """A collection: `demo`, the path of a BEIR folder, `hub:owner/name[@revision]` or `irds:id`."""
    kind, _, name = source.partition(":")
    if kind == "hub" and name:
        return read_hub(name, split)
    if kind == "irds" and name:
        return read_irds(name)
    if source == "demo":
        return read_folder(files.shipped("demo"), split)
    if source and Path(source).is_dir():
        return read_folder(Path(source), split)
    raise InputError(
        f"no collection {source!r}: give a BEIR folder, hub:owner/name[@revision], irds:id or demo"
    )
