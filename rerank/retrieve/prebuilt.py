"""Lucene indexes that are there: a folder, or one that Anserini's authors made, by its name.

The jar lists them with their kind, size, address and MD5. They are kept where pyserini keeps them,
under the same names: what one has fetched the other finds.
"""

import json
import logging
import os
import zipfile
from difflib import get_close_matches
from functools import cache as once
from pathlib import Path
from typing import Any

from rerank.errors import EngineError, InputError, UsageError
from rerank.retrieve.fetching import MEGABYTE, fetched
from rerank.retrieve.java import find

LOG = logging.getLogger(__name__)


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
    megabytes = entry["compressed_size"] // MEGABYTE
    url, md5 = entry["urls"][0], entry["md5"]
    folder = _home() / f"{entry['filename'].removesuffix('.tar.gz')}.{md5}"
    LOG.info("Lucene index %s: %d MB, fetched unless it is in %s", name, megabytes, folder)
    try:
        return fetched(url, md5, folder)
    except EngineError as wrong:
        raise EngineError(f"index {name} ({megabytes} MB): {wrong}") from wrong


def _home() -> Path:
    """Where Anserini and pyserini keep what they fetch."""
    if anserini := os.environ.get("ANSERINI_INDEX_CACHE"):
        return Path(anserini)
    return Path(os.environ.get("PYSERINI_CACHE") or Path.home() / ".cache" / "pyserini", "indexes")
