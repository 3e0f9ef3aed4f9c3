"""Index synthetic documents with BM25, answer 1 000 queries; print what time and memory that took.

Words are drawn as often as they are in language (Zipf's law, 200 000 words), 40 to 80 a document.
"""

import json
import resource
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from rerank.records import Doc, Query
from rerank.retrieve import BM25

WORDS = 200_000
LETTERS = np.array(list("etaoinshrdlucmfwypvbgk"))


def texts(count, seed, shortest, longest, skip=0):
    """Texts of random lengths; `skip` leaves out the commonest words, as a query does."""
    draw = np.random.default_rng(seed)
    shares = 1 / np.arange(1 + skip, WORDS + 1)
    ends = np.cumsum(shares / shares.sum())
    words = ["".join(LETTERS[np.random.default_rng(n).integers(22, size=7)]) for n in range(WORDS)]
    for length in draw.integers(shortest, longest + 1, size=count):
        places = np.minimum(np.searchsorted(ends, draw.random(length)), len(ends) - 1)
        yield " ".join(words[place + skip] for place in places)


def peak():
    """Of this process, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main(count):
    docs = [Doc(str(n), text) for n, text in enumerate(texts(count, 1, 40, 80))]
    queries = [Query(str(n), text) for n, text in enumerate(texts(1000, 2, 3, 8, skip=50))]
    found = {"documents": count, "MiB of texts and Python": peak()}
    with TemporaryDirectory() as cache:
        begun = perf_counter()
        index = BM25.of(docs, cache=Path(cache))
        found |= {"index, s": round(perf_counter() - begun, 1), "MiB at the peak": peak()}
        begun = perf_counter()
        run = index.search(queries, 100)
        found |= {"1 000 queries, s": round(perf_counter() - begun, 1), "MiB then": peak()}
        found["MiB on disk"] = round(
            sum(file.stat().st_size for file in Path(cache).rglob("*") if file.is_file()) / 2**20
        )
        found["documents found"] = sum(map(len, run.values()))
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]))
