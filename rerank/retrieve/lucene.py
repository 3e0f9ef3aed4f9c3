"""Lucene itself, as Anserini ships it with pyserini: BM25, RM3, and impacts of a SPLADE model.

The index is of the corpus, kept in the cache, or one that is there: a folder, or one of Anserini's
prebuilt ones by its name. With impacts a model says which terms a text has and how much of each,
and Lucene only adds up (`engines.models.sparse`).

Lucene orders equal scores by the text of the document's id, our own BM25 by the corpus.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rerank import files
from rerank.engines.models.sparse import Sparse
from rerank.errors import InputError, UsageError
from rerank.recipes.stages import LuceneOptions
from rerank.records import Doc, Query, Run
from rerank.retrieve.java import find, java_class, kept_index
from rerank.retrieve.prebuilt import place_of

INDEXER = (
    *("io.anserini.index.IndexCollection", "-generator", "DefaultLuceneDocumentGenerator"),
    "-optimize",
)
BY_WORDS = (*INDEXER, "-collection", "JsonCollection", "-storePositions", "-storeDocvectors")
BY_IMPACT = (*INDEXER, "-collection", "JsonVectorCollection", "-impact", "-pretokenized")


class Lucene:
    """An index that answers queries: of a corpus, or one that is there already."""

    def __init__(
        self, corpus: Iterable[Doc], options: LuceneOptions, cache: Path | None = None
    ) -> None:
        java = find()
        self._model = Sparse(options.impact) if options.impact else None
        kind = "impact" if self._model else "inverted"
        place = (
            place_of(options.index, kind)
            if options.index
            else self._indexed(list(corpus), cache or files.cache())
        )
        self._searcher = self._opened(place, options)
        documents = self._searcher.get_total_num_docs()
        self.record: dict[str, Any] = {"documents": documents, "jar": java.jar.name}
        if self._model:
            self.record["encoder"] = self._model.name

    def search(self, queries: Sequence[Query], depth: int) -> Run:
        """At most `depth` documents for each query, best first."""
        if depth < 1:
            raise UsageError(f"depth is {depth}; it must be 1 or more")
        asked, ids = (java_class("java.util.ArrayList")() for _ in range(2))
        for query, words in zip(queries, self._asked(queries), strict=True):
            asked.add(words)
            ids.add(query.id)
        found = self._searcher.batch_search(asked, ids, depth, os.cpu_count() or 1)
        return {
            query.id: {hit.docid: float(hit.score) for hit in found.get(query.id) or ()}
            for query in queries
        }

    def _asked(self, queries: Sequence[Query]) -> list[Any]:
        """What Lucene is asked: words, or a map from terms to impacts."""
        texts = [query.text for query in queries]
        return [_map(terms) for terms in self._model.terms(texts)] if self._model else texts

    def _opened(self, place: Path, options: LuceneOptions) -> Any:
        if self._model:
            return java_class("io.anserini.search.SimpleImpactSearcher")(str(place))
        searcher = java_class("io.anserini.search.SimpleSearcher")(str(place))
        searcher.set_bm25(options.k1, options.b)
        if options.rm3:
            searcher.set_rm3(options.rm3_terms, options.rm3_docs, options.rm3_weight)
        return searcher

    def _indexed(self, docs: Sequence[Doc], cache: Path) -> Path:
        if not docs:
            raise InputError("the corpus is empty; Lucene needs at least one document")
        model = self._model.name if self._model else ""
        digest = hashlib.sha256(f"{find().jar.name}{model}".encode())
        for doc in docs:
            digest.update(json.dumps(doc).encode())
        command = BY_IMPACT if self._model else BY_WORDS
        return kept_index(digest.hexdigest(), cache, lambda: self._lines(docs), command)

    def _lines(self, docs: Sequence[Doc]) -> Iterable[str]:
        texts = [f"{doc.title} {doc.text}" for doc in docs]
        if not self._model:
            rows = zip(docs, texts, strict=True)
            return (json.dumps({"id": doc.id, "contents": text}) for doc, text in rows)
        impacts = zip(docs, self._model.terms(texts), strict=True)
        return (
            json.dumps({"id": doc.id, "contents": "", "vector": terms}) for doc, terms in impacts
        )


def _map(terms: dict[str, int]) -> Any:
    found = java_class("java.util.HashMap")()
    for term, impact in terms.items():
        found.put(term, impact)
    return found
