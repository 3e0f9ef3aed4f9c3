"""Collections, candidates, runs and judgments: what is wrong in one is named, never guessed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from rerank import files
from rerank.datasets.beir import read_folder
from rerank.datasets.bright import read_bright
from rerank.datasets.candidates import (
    Candidates,
    from_run,
    read_candidates,
    read_labels,
    write_candidates,
)
from rerank.datasets.collection import Dataset, excluding, pooling
from rerank.datasets.hub import read_hub
from rerank.datasets.irds import read_irds
from rerank.datasets.loco import read_loco
from rerank.datasets.parts import fetched, pairs
from rerank.datasets.reranking import read_reranking
from rerank.datasets.trec import read_qrels, read_run
from rerank.datasets.tsv import read_tsv
from rerank.errors import InputError
from rerank.recipes.suites import Entry

__all__ = [
    "Candidates",
    "Dataset",
    "from_run",
    "load",
    "load_entry",
    "read_candidates",
    "read_labels",
    "read_qrels",
    "read_run",
    "write_candidates",
]


def load(source: str, split: str = "test") -> Dataset:
    """A collection: `demo`, the path of a BEIR folder, `hub:owner/name[@revision]` or `irds:id`."""
    return load_entry(Entry(source=source, split=split))


def load_entry(entry: Entry) -> Dataset:
    """The collection that an entry of a suite names, as it says: without what is excluded."""
    dataset = FORMATS[entry.format](entry)
    if entry.qrels:
        dataset = replace(dataset, qrels=read_qrels(fetched(entry.qrels)))
    if entry.excluded:
        dataset = excluding(dataset, pairs(fetched(entry.excluded)))
    if entry.judged_only:
        dataset = pooling(dataset, dataset.qrels)
    if entry.exclude_query:
        dataset = excluding(dataset, {query: {query} for query in dataset.queries})
    _check_counts(entry, dataset)
    return replace(dataset, name=entry.name or dataset.name, origin=dataset.origin or entry.source)


def _beir(entry: Entry) -> Dataset:
    kind, _, name = entry.source.partition(":")
    if kind == "hub" and name:
        return read_hub(entry)
    if kind == "irds" and name:
        return read_irds(name)
    if entry.source == "demo":
        if any(Path("demo").glob("corpus.jsonl*")):
            raise InputError("demo ships, and is a collection in a folder here too: write ./demo")
        return read_folder(files.shipped("demo"), entry.split)
    if entry.source and Path(entry.source).is_dir():
        return read_folder(Path(entry.source), entry.split)
    raise InputError(
        f"no collection {entry.source!r}: give a BEIR folder, hub:owner/name[@revision], "
        "irds:id or demo"
    )


def _check_counts(entry: Entry, dataset: Dataset) -> None:
    """A collection of another size is another collection than the one that the suite means."""
    found = {"documents": len(dataset.corpus), "queries": len(dataset.qrels)}
    for what, expected in (("documents", entry.documents), ("queries", entry.queries)):
        if expected is not None and found[what] != expected:
            raise InputError(
                f"{entry.label}: {found[what]:,} {what} where the suite says "
                f"{expected:,}; it is not the collection that is meant, or key {what!r} is wrong"
            )


FORMATS: Mapping[str, Callable[[Entry], Dataset]] = {
    "beir": _beir,
    "bright": read_bright,
    "reranking": read_reranking,
    "loco": read_loco,
    "tsv": read_tsv,
}
