"""Vectors of texts, kept by what the text says, in a file that only grows.

Each row is the SHA-256 of a text and its vector in 32-bit floats. Rows are added as they are made,
whole batches under a lock; a row that was torn by a kill is cut off by whoever opens the file next.
So a killed encoding goes on where it was, and a corpus that grew costs its new texts only.

It knows numbers and keys, no model: whose vectors these are, the file's name says.
"""

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from rerank.engines.models.embedders import Embeds
from rerank.errors import UsageError, extra

AT_ONCE = 256


Progress = Callable[[int, int], None]
"""Called with how many of the missing vectors are there, and how many were missing."""


class Store:
    """The vectors that one model made, in one file."""

    def __init__(self, folder: Path, name: str, width: int) -> None:
        np = extra("numpy", "eval")
        self.row = np.dtype([("key", "V32"), ("vector", "<f4", (width,))])
        file = hashlib.sha256(json.dumps([name, width]).encode()).hexdigest()
        self.path = folder / f"{file}.rows"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._locked() as rows:
                rows.truncate(rows.tell() - rows.tell() % self.row.itemsize)
        except OSError as error:
            raise UsageError(
                f"{folder}: vectors cannot be kept here ({error.strerror});"
                " set RERANK_CACHE to a folder that can be written"
            ) from None

    def rows(self) -> Any:
        """All rows, read from the file where they are used."""
        np = extra("numpy", "eval")
        count = self.path.stat().st_size // self.row.itemsize
        if not count:
            return np.empty(0, self.row)
        return np.memmap(self.path, self.row, mode="r", shape=(count,))

    def places(self) -> dict[bytes, int]:
        """In which row the vector of each text is, by the text's key."""
        keys = self.rows()["key"].tobytes()
        return {keys[32 * place : 32 * place + 32]: place for place in range(len(keys) // 32)}

    def add(self, keys: Sequence[bytes], vectors: Any) -> None:
        """Write rows at the end, whatever others write meanwhile."""
        np = extra("numpy", "eval")
        new = np.empty(len(keys), self.row)
        new["key"], new["vector"] = np.array(keys, "V32"), vectors
        with self._locked() as rows:
            rows.write(new.tobytes())

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        with self.path.open("ab") as rows:
            fcntl.flock(rows, fcntl.LOCK_EX)
            rows.seek(0, 2)
            yield rows


def encoded(
    texts: Sequence[str],
    encoder: Embeds,
    store: Store,
    progress: Progress = lambda *_: None,
    at_once: int | None = None,
) -> Any:
    """Which row of the store each text's vector is in, once those that lacked one have it.

    `at_once` texts are handed to the encoder before their vectors are written.
    """
    size = at_once or AT_ONCE
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    known = store.places()
    lacking = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    missing = sorted(lacking, key=lambda key: len(lacking[key]), reverse=True)
    for start in range(0, len(missing), size):
        progress(start, len(missing))
        batch = missing[start : start + size]
        store.add(batch, encoder.encode([lacking[key] for key in batch]))
    places = store.places() if missing else known
    return extra("numpy", "eval").array([places[key] for key in keys], dtype="int64")
