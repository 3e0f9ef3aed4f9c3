"""Lucene's graph of vectors (HNSW): built of a corpus's vectors, or one that is there.

A score is the cosine, which Lucene halves and moves above zero.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rerank import files
from rerank.engines.models.embedders import Embeds
from rerank.errors import UsageError, extra
from rerank.recipes.stages import DenseOptions
from rerank.records import Query, Run
from rerank.retrieve.indexes import READ, Found, Vectors
from rerank.retrieve.java import find, java_class, kept_index
from rerank.retrieve.prebuilt import place_of

INDEXER = (
    *("io.anserini.index.IndexHnswDenseVectors", "-collection", "JsonDenseVectorCollection"),
    *("-generator", "DenseVectorDocumentGenerator", "-optimize"),
)


class LuceneGraph:
    """An index of a corpus's vectors, beside those of faiss."""

    def __init__(self, vectors: Vectors, options: DenseOptions, cache: Path | None = None) -> None:
        refuse_unready(options)
        self._width = vectors.keep
        self.numbers = {
            "m": options.m,
            "ef_construction": options.ef_construction,
            "ef_search": options.ef_search,
        }
        digest = hashlib.sha256(f"{find().jar.name} {options.m} {options.ef_construction}".encode())
        for block in _blocks(vectors):
            digest.update(block.tobytes())
        numbers = ("-M", str(options.m), "-efC", str(options.ef_construction))
        place = kept_index(
            digest.hexdigest(),
            cache or files.cache(),
            lambda: _lines(vectors),
            (*INDEXER, *numbers),
        )
        self.bytes = sum(file.stat().st_size for file in place.iterdir())
        self._graph = Graph(place, options.ef_search)

    def search(self, queries: Any, depth: int) -> Found:
        np = extra("numpy", "eval")
        scores = np.full((len(queries), depth), -np.inf, np.float32)
        places = np.full((len(queries), depth), -1, np.int64)
        for row, query in enumerate(queries):
            for rank, (name, score) in enumerate(self._graph.nearest(query, depth)):
                places[row, rank], scores[row, rank] = int(name), score
        return Found(scores, places)


class GivenGraph:
    """An index that is there: a folder, or a prebuilt one by name. Only queries are encoded."""

    def __init__(self, options: DenseOptions, encoder: Embeds) -> None:
        assert options.lucene
        refuse_unready(options)
        self._graph = Graph(place_of(options.lucene, "hnsw"), options.ef_search)
        self._encoder = encoder
        own = options.query_prompt
        self._prompt = encoder.prompts[0] if own is None else own
        self.record: dict[str, Any] = {"encoder": encoder.name, "index": options.lucene}

    def search(self, queries: Sequence[Query], depth: int) -> Run:
        """The `depth` nearest documents of each query, best first."""
        asked = self._encoder.encode([self._prompt + query.text for query in queries])
        return {
            query.id: dict(self._graph.nearest(row, depth))
            for query, row in zip(queries, asked, strict=True)
        }


class Graph:
    """A folder of Lucene's, asked for the ids nearest to a vector of length 1."""

    def __init__(self, place: Path, ef_search: int) -> None:
        name = "io.anserini.search.HnswDenseSearcher"
        options = java_class(f"{name}$Args")()
        options.index, options.efSearch = str(place), ef_search
        self._searcher = java_class(name)(options)

    def nearest(self, query: Any, depth: int) -> Iterator[tuple[str, float]]:
        for hit in self._searcher.search(query.tolist(), depth):
            yield hit.docid, 2 * float(hit.score) - 1


def refuse_unready(options: DenseOptions) -> None:
    """Raise for vectors that Lucene would not compare, and where it is not installed."""
    if options.similarity != "cosine":
        raise UsageError('Lucene compares vectors by cosine here; use dense.index = "hnsw"')
    find()


def _blocks(vectors: Vectors) -> Iterator[Any]:
    for start in range(0, len(vectors.places), READ):
        yield vectors.read(slice(start, start + READ))


def _lines(vectors: Vectors) -> Iterable[str]:
    rows = (row for block in _blocks(vectors) for row in block.tolist())
    for place, row in enumerate(rows):
        yield json.dumps({"docid": str(place), "contents": "", "vector": row})
