"""What the benches of first stages share: real collections, token vectors, a judge that is dear."""

import random
from functools import cache
from time import perf_counter

import numpy as np
from shared import collection

from rerank import datasets, files

ANCHORS = 200


@cache
def loaded(name):
    """A collection and its judged queries."""
    dataset = datasets.load(str(collection(name)))
    return dataset, [dataset.queries[query] for query in dataset.qrels]


@cache
def tokens(name):
    """Token vectors of MiniLM: of judged queries and then `ANCHORS` phrases, and of documents.

    The first call takes minutes; they are kept in the cache folder.
    """
    path = files.cache() / "bench" / f"tokens.{name}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **_encoded(name))
    kept = np.load(path)
    return tuple(
        np.split(kept[part].astype(np.float32), np.cumsum(kept[f"{part}_lengths"])[:-1])
        for part in ("queries", "docs")
    )


def _encoded(name):
    from rerank.engines.models.embedders import Embedder

    encoder = Embedder("all-MiniLM-L6-v2", max_length=80)
    dataset, queries = loaded(name)
    docs = [f"{doc.title} {doc.text}".strip() for doc in dataset.corpus.values()]
    asked = [query.text for query in queries] + _phrases(docs)
    found = {}
    for part, texts in (("queries", asked), ("docs", docs)):
        rows = encoder.encode_tokens(texts)
        found[part] = np.concatenate(rows).astype(np.float16)
        found[f"{part}_lengths"] = np.array([len(row) for row in rows])
    return found


def _phrases(docs):
    """Three to eight words of documents, as queries that nobody judged."""
    draw = random.Random(0)
    phrases = []
    for text in draw.sample(docs, ANCHORS):
        words, length = text.split(), draw.randint(3, 8)
        start = draw.randrange(max(1, len(words) - length))
        phrases.append(" ".join(words[start : start + length]))
    return phrases


@cache
def ratings(name):
    """MaxSim of every query with every document, and the seconds that a query took."""
    queries, docs = tokens(name)
    starts = np.cumsum([0, *(len(doc) for doc in docs[:-1])])
    together = np.concatenate(docs).T.copy()
    begun = perf_counter()
    found = [_rated(queries[n : n + 16], together, starts) for n in range(0, len(queries), 16)]
    return np.concatenate(found), (perf_counter() - begun) / len(queries)


def _rated(queries, together, starts):
    """Many queries at once: alone, each would wait for the memory."""
    products = np.maximum.reduceat(np.concatenate(queries) @ together, starts, axis=1)
    ends = np.cumsum([0, *(len(query) for query in queries[:-1])])
    return np.add.reduceat(products, ends, axis=0)


def share(found, truth, k=10):
    """How much of the best `k` by the truth is among the places found."""
    return len(set(found) & set(np.argsort(-truth, kind="stable")[:k].tolist())) / k
