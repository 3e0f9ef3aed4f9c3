"""Lucene indexes that are there: a folder, or one that Anserini's authors made, by its name.

The jar lists them with their kind, size and address; one that is not here yet is fetched, checked
by its MD5 and unpacked by Anserini, into its own cache.
"""

import json
import logging
import zipfile
from difflib import get_close_matches
from functools import cache as once
from pathlib import Path
from typing import Any

from rerank.errors import EngineError, InputError, UsageError
from rerank.retrieve.java import find, java_class

LOG = logging.getLogger(__name__)
MEGABYTE = 10**6


def place_of(index: str, kind: str) -> Path:
    """The folder of an index of that kind: inverted, impact or hnsw."""
    if Path(index).is_dir():
        if not any(Path(index).glob("segments_*")):
            raise InputError.at(Path(index), None, "no Lucene index in this folder")
        return Path(index)
    entry = known().get(index)
    if entry is None:
        raise UsageError(
            f"no folder and no prebuilt Lucene index is called {index!r}{_near(index)}"
        )
    if entry["type"] != kind:
        raise UsageError(f"index {index} is of kind {entry['type']}, and {MEND[entry['type']]}")
    return _fetched(index, entry)


MEND = {
    "inverted": 'is searched by first = "lucene" without lucene.impact',
    "impact": "needs the SPLADE model that made it: lucene.impact",
    "hnsw": 'needs the encoder that made it: first = "dense", dense.model and dense.lucene',
    "flat": "is not searched here; take the hnsw index of the same vectors",
}
"""How an index of each kind is searched."""


@once
def known() -> dict[str, Any]:
    """The prebuilt indexes by name, as the jar lists them."""
    with zipfile.ZipFile(find().jar) as jar:
        lists = [n for n in jar.namelist() if n.startswith("prebuilt-indexes/") and n[-1] != "/"]
        return {entry["name"]: entry for name in lists for entry in json.loads(jar.read(name))}


def _near(name: str) -> str:
    near = get_close_matches(name, known(), 3)
    return f"; there are {', '.join(near)}" if near else ""


def _fetched(name: str, entry: dict[str, Any]) -> Path:
    _silence()
    megabytes = entry.get("compressed_size", 0) // MEGABYTE
    LOG.info("Lucene index %s: %d MB, fetched unless it is here", name, megabytes)
    try:
        found = java_class("io.anserini.index.IndexReaderUtils").getIndex(name)
    except Exception as wrong:  # jnius raises its own, which only a started Java has
        reason = " ".join(str(wrong).split()).rpartition("exception occurred: ")[2]
        raise EngineError(
            f"index {name} ({megabytes} MB) could not be fetched from {entry['urls'][0]}: {reason}"
        ) from wrong
    return Path(found.toString())


@once
def _silence() -> None:
    """Anserini logs to standard output, where results are written."""
    package = "org.apache.logging.log4j"
    off = java_class(f"{package}.Level").OFF
    java_class(f"{package}.core.config.Configurator").setAllLevels("io.anserini", off)
