"""Where the nearest vectors are found: exactly, or faster and smaller, by inner product.

    flat     every vector, compared with every query; by numpy, in corpus order where scores tie
    hnsw     a graph of neighbours (Malkov & Yashunin, arXiv:1603.09320); memory: vectors and graph
    lucene   the same graph as Lucene builds it, from its file (`retrieve.lucene_vectors`)
    ivfpq    lists of similar vectors, each vector coded in a few bytes (Jegou et al. 2011)
    binary   the signs alone, a bit a dimension: 1/32 of the memory. The vectors with the fewest
             signs unlike the query's are read again from the disk and scored exactly

What an approximate index misses depends on the order and the spread of the vectors, so its recall
is measured on the user's own queries. The only file that imports faiss; it knows no text and no id.
"""

from collections.abc import Callable
from statistics import fmean
from typing import Any, NamedTuple, Protocol

from rerank.errors import UsageError, extra, refuse_without
from rerank.recipes.stages import DenseOptions

BLOCK = 64 * 2**20  # bytes of scores at once
READ = 4096  # vectors read at once while an index is built


class Found(NamedTuple):
    """A row for each query, best first: scores, and the places of vectors; -1 where none is."""

    scores: Any
    places: Any


class Index(Protocol):
    bytes: int  # what it keeps in memory
    numbers: dict[str, int]  # what makes it what it is, besides its kind

    def search(self, queries: Any, depth: int) -> Found: ...


class Vectors(NamedTuple):
    """Vectors of a corpus in its order, on the disk until they are read.

    `keep` is how many of their dimensions count (Matryoshka: the first ones); with `unit` they are
    then made as long as 1 again.
    """

    rows: Any
    places: Any
    keep: int
    unit: bool

    def read(self, places: Any = slice(None)) -> Any:
        return cut(self.rows["vector"][self.places[places]], self.keep, self.unit)


def cut(vectors: Any, keep: int, unit: bool) -> Any:
    """The first dimensions of vectors."""
    np = extra("numpy", "eval")
    short = np.ascontiguousarray(vectors[:, :keep], dtype=np.float32)
    if unit and keep < vectors.shape[1]:
        short /= np.maximum(np.linalg.norm(short, axis=1, keepdims=True), 1e-12)
    return short


class Flat:
    """Every vector against every query."""

    def __init__(self, vectors: Vectors, options: DenseOptions) -> None:
        self._vectors = vectors.read()
        self.bytes = self._vectors.nbytes
        self.numbers: dict[str, int] = {}

    def search(self, queries: Any, depth: int) -> Found:
        np = extra("numpy", "eval")
        block = max(1, BLOCK // (4 * len(self._vectors)))
        parts = [
            best(queries[start : start + block] @ self._vectors.T, depth)
            for start in range(0, len(queries), block)
        ]
        return Found(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def best(scores: Any, depth: int) -> Found:
    """The highest scores of each row; equal ones keep their order."""
    np = extra("numpy", "eval")
    depth = min(depth, scores.shape[1])
    order = np.empty((len(scores), depth), np.int64)
    for row, values in enumerate(scores):
        least = np.partition(values, -depth)[-depth]
        found = np.flatnonzero(values >= least)
        order[row] = found[np.argsort(-values[found], kind="stable")][:depth]
    return Found(np.take_along_axis(scores, order, axis=1), order)


class HNSW:
    """A graph; vectors enter it in corpus order, one by one, so that it is the same every time."""

    def __init__(self, vectors: Vectors, options: DenseOptions) -> None:
        faiss = extra("faiss", "dense")
        inner = faiss.METRIC_INNER_PRODUCT
        self._index = faiss.IndexHNSWFlat(vectors.keep, options.m, inner)
        self._index.hnsw.efConstruction = options.ef_construction
        self._index.hnsw.efSearch = self._wide = options.ef_search
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)  # several would meet in another order each time
        _filled(self._index, vectors, vectors.read)
        faiss.omp_set_num_threads(threads)
        links = 4 * self._index.hnsw.neighbors.size()
        self.bytes = 4 * vectors.keep * len(vectors.places) + links
        self.numbers = {
            "m": options.m,
            "ef_construction": options.ef_construction,
            "ef_search": options.ef_search,
        }

    def search(self, queries: Any, depth: int) -> Found:
        self._index.hnsw.efSearch = max(self._wide, depth)
        return Found(*self._index.search(queries, depth))


class IVFPQ:
    """Lists and codes, learned from the corpus."""

    def __init__(self, vectors: Vectors, options: DenseOptions) -> None:
        faiss, np = extra("faiss", "dense"), extra("numpy", "eval")
        count = len(vectors.places)
        codes = options.code_bytes or max(1, vectors.keep // 8)
        if vectors.keep % codes:
            raise UsageError(f"dense.code_bytes {codes} does not divide {vectors.keep} dimensions")
        if count < 256:
            raise UsageError(f"index ivfpq learns from 256 vectors or more, not {count}; use flat")
        lists = options.lists or max(1, min(4 * int(count**0.5), count // 39))
        coarse, inner = faiss.IndexFlatIP(vectors.keep), faiss.METRIC_INNER_PRODUCT
        self._index = faiss.IndexIVFPQ(coarse, vectors.keep, lists, codes, 8, inner)
        for clusters in (self._index.cp, self._index.pq.cp):
            clusters.seed, clusters.min_points_per_centroid = options.seed, 1
        sample = np.random.default_rng(options.seed).permutation(count)[: max(256 * lists, 65536)]
        self._index.train(vectors.read(np.sort(sample)))
        self._index.nprobe = min(lists, options.probes)
        _filled(self._index, vectors, vectors.read)
        self.bytes = count * (codes + 8) + 4 * vectors.keep * (lists + 256)
        self.numbers = {
            "lists": lists,
            "probes": self._index.nprobe,
            "code_bytes": codes,
            "seed": options.seed,
        }

    def search(self, queries: Any, depth: int) -> Found:
        return Found(*self._index.search(queries, depth))


class Binary:
    """Signs in memory; the nearest by them are scored again by what is on the disk."""

    def __init__(self, vectors: Vectors, options: DenseOptions) -> None:
        faiss = extra("faiss", "dense")
        self._vectors, self._rescore, self._least = vectors, options.rescore, options.rescore_least
        width = -(-vectors.keep // 8)
        self._index = faiss.IndexBinaryFlat(8 * width)
        _filled(self._index, vectors, lambda places: signs(vectors.read(places)))
        self.bytes = width * len(vectors.places)
        self.numbers = {"rescore": options.rescore, "rescore_least": options.rescore_least}

    def search(self, queries: Any, depth: int) -> Found:
        np = extra("numpy", "eval")
        pool = min(len(self._vectors.places), max(self._rescore * depth, self._least))
        _, near = self._index.search(signs(queries), pool)
        near.sort(axis=1)  # corpus order, which ties keep
        scores, places = [], []
        for query, found in zip(queries, near, strict=True):
            again, order = best((self._vectors.read(found) @ query)[None], depth)
            scores.append(again[0])
            places.append(found[order[0]])
        return Found(np.array(scores), np.array(places))


def signs(vectors: Any) -> Any:
    """A bit for each dimension: whether it is above 0."""
    return extra("numpy", "eval").packbits(vectors > 0, axis=1)


def _filled(index: Any, vectors: Vectors, read: Callable[[Any], Any]) -> None:
    for start in range(0, len(vectors.places), READ):
        index.add(read(slice(start, start + READ)))


def _lucene(vectors: Vectors, options: DenseOptions) -> Index:
    from rerank.retrieve.lucene_vectors import LuceneGraph

    return LuceneGraph(vectors, options)


INDEXES: dict[str, Callable[[Vectors, DenseOptions], Index]] = {
    "flat": Flat,
    "hnsw": HNSW,
    "lucene": _lucene,
    "ivfpq": IVFPQ,
    "binary": Binary,
}
"""The indexes by the names that a recipe calls them."""


def refuse_unready(options: DenseOptions) -> None:
    """Raise for an index that could not be built of the vectors once they are encoded."""
    if options.index == "lucene":
        from rerank.retrieve.lucene_vectors import refuse_unready

        refuse_unready(options)
    elif options.index != "flat":
        refuse_without("faiss", "dense")


def recall(found: Found, exact: Found) -> float:
    """Which share of the exact nearest is among the found, over all queries."""
    pairs = zip(found.places.tolist(), exact.places.tolist(), strict=True)
    kept = [len(set(some) & set(nearest)) / len(nearest) for some, nearest in pairs]
    return fmean(kept)
