"""Lucene's BM25 without Java: its terms, its one-byte lengths, its arithmetic, on bm25s's index.

    score(query, doc) = sum over the query's terms, as often as they stand in it, of
                        idf * tf / (tf + k1 * (1 - b + b * dl / avgdl))
    idf               = log(1 + (N - df + 0.5) / (df + 0.5))

as in Lucene 9's BM25Similarity: dl is what one byte keeps of the length, avgdl the
exact mean, N counts the documents that hold a term at all; a term's score is a
32-bit float, and so is their sum, taken in 64 bits. Equal scores keep the order of
the corpus, as in Lucene.

bm25s cannot make this index, since it scores by exact lengths, and its `retrieve`
leaves ties to chance and fills up with documents that share no term. What serves is
its matrix of scores made ahead, its files and its look-up: we fill the matrix.

It knows no qrels, no run file and no folder but the cache.
"""

import errno
import hashlib
import json
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rerank import files
from rerank.errors import InputError, UsageError, extra
from rerank.records import Doc, Query, Run
from rerank.retrieve import analysis

SUMS = "sha256.json"
FORMAT = 1  # in the key of every kept index: raise it when the same terms would get other scores


@dataclass(frozen=True, slots=True)
class BM25:
    """An index of a corpus that answers queries; make one with `BM25.of`."""

    index: Any  # a bm25s.BM25
    ids: list[str] = field(repr=False)  # of the documents, in the order of the corpus

    @classmethod
    def of(
        cls, corpus: Iterable[Doc], k1: float = 0.9, b: float = 0.4, cache: Path | None = None
    ) -> "BM25":
        """Index the title and text of each document, or load the index that an earlier call kept.

        It is kept under `cache` (the user's cache folder where None) by a hash of
        the documents in their order, k1, b and the versions of what made it. A kept
        index with a file missing or changed is made again.
        """
        docs = list(corpus)
        _check(docs, k1, b)
        folder = (cache or files.cache()) / "bm25" / _key(docs, k1, b)
        if (index := _load(folder)) is None:
            index = _build(docs, k1, b)
            _keep(index, folder)
        return cls(index, [doc.id for doc in docs])

    @property
    def record(self) -> dict[str, Any]:
        return {"documents": len(self.ids), "terms": len(self.index.vocab_dict)}

    def search(self, queries: Sequence[Query], depth: int) -> Run:
        """At most `depth` documents for each query, best first.

        A document that shares no term with the query is never among them, so a
        query of nothing but stop words has an empty ranking.
        """
        if depth < 1:
            raise UsageError(f"depth is {depth}; it must be 1 or more")
        return {query.id: self._best(query.text, depth) for query in queries}

    def rank(self, queries: Sequence[Query], pools: Mapping[str, Sequence[str]]) -> Run:
        """All documents of each query's pool, best first; equal scores keep its order."""
        places = {doc: place for place, doc in enumerate(self.ids)}
        return {query.id: self._among(query.text, pools[query.id], places) for query in queries}

    def _among(self, text: str, pool: Sequence[str], places: Mapping[str, int]) -> dict[str, float]:
        if lost := [doc for doc in pool if doc not in places]:
            raise InputError(f"document {lost[0]!r} is in a pool, and not in the corpus")
        terms = self.index.get_tokens_ids(analysis.analyse(text))
        scores = self.index.get_scores_from_ids(terms) if terms else None
        found = {doc: 0.0 if scores is None else float(scores[places[doc]]) for doc in pool}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _best(self, text: str, depth: int) -> dict[str, float]:
        np = extra("numpy", "eval")
        if not (terms := self.index.get_tokens_ids(analysis.analyse(text))):
            return {}
        scores = self.index.get_scores_from_ids(terms).astype(np.float32)
        found = np.flatnonzero(scores)
        if len(found) > depth:
            least = np.partition(scores[found], -depth)[-depth]
            found = found[scores[found] >= least]
        best = found[np.argsort(-scores[found], kind="stable")][:depth]
        return {self.ids[doc]: float(scores[doc]) for doc in best}


def _check(docs: Sequence[Doc], k1: float, b: float) -> None:
    if not (0 <= k1 < float("inf") and 0 <= b <= 1):
        raise UsageError(f"k1 is {k1} and b is {b}; k1 must be 0 or more, b from 0 to 1")
    if not docs:
        raise InputError("the corpus is empty; BM25 needs at least one document")
    seen: set[str] = set()
    for doc in docs:
        if doc.id in seen:
            raise InputError(f"document {doc.id!r} is twice in the corpus; ids must be unique")
        seen.add(doc.id)


def _bm25s() -> Any:
    """The library without JAX, which would take most of a GPU's memory and is of no use here."""
    if "bm25s" in sys.modules or "jax" in sys.modules:
        return extra("bm25s", "eval")
    sys.modules["jax"] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        return extra("bm25s", "eval")
    finally:
        del sys.modules["jax"]


def _build(docs: Sequence[Doc], k1: float, b: float) -> Any:
    """A bm25s index that holds Lucene's scores: one column for each term, in corpus order."""
    np = extra("numpy", "eval")
    vocabulary, numbers, lengths = _terms(docs)
    if not vocabulary:
        raise InputError("no document of the corpus has a word to search for")
    owners = np.repeat(np.arange(len(docs)), lengths)
    cells, counts = np.unique(numbers * len(docs) + owners, return_counts=True)
    term, doc = np.divmod(cells, len(docs))
    index = _bm25s().BM25(k1=k1, b=b, method="lucene", dtype="float64")
    index.vocab_dict, index.nonoccurrence_array = vocabulary, None
    index.scores = {
        "data": _scores(term, counts, lengths, doc, k1, b),
        "indices": doc.astype(np.int32),
        "indptr": np.searchsorted(term, np.arange(len(vocabulary) + 1)),
        "num_docs": len(docs),
    }
    return index


def _terms(docs: Iterable[Doc]) -> tuple[dict[str, int], Any, Any]:
    """Each term's number; the numbers of all documents' terms in a row; how many each has."""
    np = extra("numpy", "eval")
    vocabulary: dict[str, int] = {}
    numbers, lengths = array("q"), array("q")
    for doc in docs:
        terms = analysis.analyse(f"{doc.title} {doc.text}")
        numbers.extend([vocabulary.setdefault(term, len(vocabulary)) for term in terms])
        lengths.append(len(terms))
    return vocabulary, np.array(numbers), np.array(lengths)


def _scores(term: Any, counts: Any, lengths: Any, doc: Any, k1: float, b: float) -> Any:
    """The score of each cell of the matrix, in 32-bit steps in the order of Lucene's BM25Scorer."""
    np = extra("numpy", "eval")
    f32 = np.float32
    filled = np.count_nonzero(lengths)
    holders = np.bincount(term)
    idf = np.log(1 + (filled - holders + 0.5) / (holders + 0.5)).astype(f32)
    share = f32(b) * kept(lengths).astype(f32) / f32(lengths.sum() / filled)
    with np.errstate(divide="ignore"):  # k1 = 0: an infinite inverse, and the score is idf
        inverse = f32(1) / (f32(k1) * (f32(1) - f32(b) + share))
    weight = idf[term]
    scores = weight - weight / (f32(1) + counts.astype(f32) * inverse[doc])
    return scores.astype(np.float64)  # numpy adds up equal types many times faster than mixed ones


def kept(lengths: Any) -> Any:
    """What is left of each length after Lucene's byte (SmallFloat.intToByte4): 4 bits and a shift.

    Lengths to 40 are exact, longer ones round down: 100 to 96, 215 to 200.
    """
    np = extra("numpy", "eval")
    steps = [(code & 7 | 8) << (code >> 3) - 1 if code >= 8 else code for code in range(232)]
    codes = np.array([*range(24), *(24 + step for step in steps)])
    return codes[np.searchsorted(codes, lengths, side="right") - 1]


def _key(docs: Iterable[Doc], k1: float, b: float) -> str:
    made_by = [FORMAT, _bm25s().__version__, analysis.fingerprint()]
    digest = hashlib.sha256(json.dumps([*made_by, float(k1), float(b)]).encode())
    for doc in docs:
        digest.update(json.dumps(doc).encode())
    return digest.hexdigest()


def _load(folder: Path) -> Any | None:
    """The index in a folder; None where there is none, or a file is not as it was written."""
    try:
        if json.loads((folder / SUMS).read_bytes()) != _sums(folder):
            return None
        return _bm25s().BM25.load(folder, mmap=True)
    except (OSError, ValueError):  # not there, torn, or replaced by another process just now
        return None


def _keep(index: Any, folder: Path) -> None:
    """Write an index whole or not at all, so that no reader meets half of one."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".") as aside:
            new = Path(aside) / "new"
            index.save(new, show_progress=False)
            (new / SUMS).write_text(json.dumps(_sums(new)))
            _swap(new, folder, Path(aside) / "old")
    except OSError as error:
        raise UsageError(
            f"{folder.parent}: the BM25 index cannot be kept here ({error.strerror}); "
            "set RERANK_CACHE to a folder that can be written"
        ) from None


def _swap(new: Path, folder: Path, old: Path) -> None:
    """Put `new` in the place of what could not be loaded; what another process put there stays."""
    with suppress(FileNotFoundError):
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


def _sums(folder: Path) -> dict[str, str]:
    sums = {}
    for path in sorted(folder.iterdir()):
        if path.name != SUMS:
            with path.open("rb") as file:
                sums[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums
