"""Dense retrieval: a corpus as vectors, searched by how alike the query's vector is.

Vectors are made once for a text and a model, and kept (`vectors`). An approximate index is
measured against the exact one on a sample of the queries that it was asked; how much of the exact
best it found is said, and stands in the record.

It knows no qrels and no run file; which model and which index, its options say.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rerank import files
from rerank.engines.models.embedders import EMBEDDERS, Embeds
from rerank.errors import InputError, UsageError, extra
from rerank.recipes.stages import DenseOptions, MuveraOptions
from rerank.records import Doc, Query, Run
from rerank.retrieve.indexes import INDEXES, Flat, Vectors, recall, refuse_unready
from rerank.retrieve.muvera import of_docs, of_queries, width
from rerank.retrieve.vectors import Store, encoded

LOG = logging.getLogger(__name__)


class Dense:
    """A corpus behind an encoder and an index; `record` says what they are and what they miss."""

    def __init__(
        self,
        corpus: Iterable[Doc],
        options: DenseOptions | None = None,
        cache: Path | None = None,
        encoder: Embeds | None = None,
    ) -> None:
        self.options = options or DenseOptions()
        docs = list(corpus)
        if not docs:
            raise InputError("the corpus is empty; dense retrieval needs at least one document")
        refuse_unready(self.options)
        self.ids = [doc.id for doc in docs]
        self.encoder = encoder or embedder(self.options)
        self._sides = sides(self.encoder, self.options)
        self._keep = _dimensions(self.options, self._sides[1])
        folder = cache or files.cache() / "vectors"
        self._stores = [Store(folder, side.name, side.width) for side in self._sides]
        self.vectors = self._vectors(1, [_text(doc) for doc in docs])
        self._index = INDEXES[self.options.index](self.vectors, self.options)
        self.record: dict[str, Any] = {
            "encoder": self._sides[1].name,
            "index": {"kind": self.options.index, **self._index.numbers},
            "dimensions": self._keep,
            "documents": len(docs),
            "bytes": self._index.bytes,
            "bytes_exact": 4 * self._keep * len(docs),
        }

    def search(self, queries: Sequence[Query], depth: int) -> Run:
        """The `depth` nearest documents of each query, best first."""
        return self.nearest(queries, self.embedded(queries), depth)

    def nearest(self, queries: Sequence[Query], asked: Any, depth: int) -> Run:
        """The `depth` documents nearest to each query's row of numbers, best first."""
        if depth < 1:
            raise UsageError(f"depth is {depth}; it must be 1 or more")
        if self.options.index != "flat":
            self._measure(asked, depth)
        found = self._index.search(asked, depth)
        return {
            query.id: {
                self.ids[place]: float(score)
                for score, place in zip(scores, places, strict=True)
                if place >= 0
            }
            for query, scores, places in zip(queries, *found, strict=True)
        }

    def rank(self, queries: Sequence[Query], pools: Mapping[str, Sequence[str]]) -> Run:
        """All documents of each query's pool, nearest first, compared exactly."""
        places = {doc: place for place, doc in enumerate(self.ids)}
        run: Run = {}
        for query, asked in zip(queries, self.embedded(queries), strict=True):
            if lost := [doc for doc in pools[query.id] if doc not in places]:
                raise InputError(f"document {lost[0]!r} is in a pool, and not in the corpus")
            scores = self.vectors.read([places[doc] for doc in pools[query.id]]) @ asked
            found = zip(pools[query.id], map(float, scores), strict=True)
            run[query.id] = dict(sorted(found, key=lambda item: -item[1]))
        return run

    def embedded(self, queries: Sequence[Query]) -> Any:
        """A row for each query, as the index compares it."""
        return self._vectors(0, [query.text for query in queries]).read()

    def _vectors(self, side: int, texts: Sequence[str]) -> Vectors:
        """Of queries (side 0) or documents (side 1), each after its prompt."""
        encoder, store = self._sides[side], self._stores[side]
        own = (self.options.query_prompt, self.options.doc_prompt)[side]
        prompt = encoder.prompts[side] if own is None else own
        places = encoded([prompt + text for text in texts], encoder, store, _progress)
        unit = self.options.similarity == "cosine"
        return Vectors(store.rows(), places, self._keep, unit)

    def _measure(self, asked: Any, depth: int) -> None:
        """Say and record what the index finds of the exact best, at 10 and at the depth."""
        np = extra("numpy", "eval")
        chosen = np.random.default_rng(self.options.seed).permutation(len(asked))
        sample = asked[np.sort(chosen[: self.options.sample])]
        exact = Flat(self.vectors, self.options)
        for k in sorted({min(10, depth), depth}):
            share = recall(self._index.search(sample, k), exact.search(sample, k))
            self.record[f"recall@{k}_of_exact"] = round(share, 4)
            LOG.info(
                "index %s: recall@%d %.4f of the exact index, on %d of your queries; %s",
                *(self.options.index, k, share, len(sample)),
                f"{self.record['bytes']:,} bytes, exact {self.record['bytes_exact']:,}",
            )


def embedder(options: DenseOptions) -> Embeds:
    """The encoder that the options name, loaded."""
    named = ("similarity", "device", "dtype", "max_length", "batch_tokens", "revision")
    opened = EMBEDDERS[options.library]
    return opened(options.model, **{key: getattr(options, key) for key in named})


def sides(encoder: Embeds, options: DenseOptions) -> tuple[Embeds, Embeds]:
    """What encodes queries, and what encodes documents: the same, but for MUVERA."""
    if options.muvera is None:
        return encoder, encoder
    return Fixed(encoder, options.muvera, "queries"), Fixed(encoder, options.muvera, "docs")


class Fixed:
    """The token vectors of queries or of documents as MUVERA's single ones."""

    def __init__(self, encoder: Embeds, options: MuveraOptions, side: str) -> None:
        if not hasattr(encoder, "encode_tokens"):
            raise UsageError("dense.muvera needs token vectors; use library transformers")
        self._tokens = encoder.encode_tokens
        self._of, self._options = {"queries": of_queries, "docs": of_docs}[side], options
        self.name = f"{encoder.name} muvera {side} {options.model_dump_json()}"
        self.width, self.prompts = width(options), encoder.prompts

    def encode(self, texts: Sequence[str]) -> Any:
        return self._of(self._tokens(texts), self._options)


def _dimensions(options: DenseOptions, encoder: Embeds) -> int:
    if options.dimensions and options.dimensions > encoder.width:
        raise UsageError(
            f"dense.dimensions is {options.dimensions}; {options.model} has {encoder.width}"
        )
    return options.dimensions or encoder.width


def _text(doc: Doc) -> str:
    return f"{doc.title} {doc.text}".strip()


def _progress(done: int, missing: int) -> None:
    if done % 1024 == 0 and missing > 1024:
        LOG.info("encoding: %d of %d texts; a killed run goes on from here", done, missing)
