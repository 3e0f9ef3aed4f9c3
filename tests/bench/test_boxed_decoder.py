"""The boxed decoder on real collections, candidates as BM25 has them and shuffled."""

import random

import numpy as np
import pytest
from bench import first_stages
from bench.report import record

from rerank import Reranker
from rerank.evaluate import evaluate
from rerank.evaluate.significance import intervals
from rerank.retrieve import BM25

pytestmark = pytest.mark.slow

NAMES = ("scifact", "dbpedia-entity-5k", "noveleval", "dl19")
FORMS = {"first": {}, "yes and no": {"method": "yes-no", "prompt": "pointwise/boxed"}}
MEASURE = "ndcg@10"


def candidates(name, depth, shuffle, limit=None):
    """BM25's first documents of each query, in its order or in one of chance."""
    dataset, queries = first_stages.loaded(name)
    run = BM25.of(dataset.corpus.values()).search(queries[:limit], depth)
    lists = {query: [dataset.corpus[doc] for doc in docs] for query, docs in run.items()}
    for query, docs in lists.items():
        if shuffle:
            random.Random(query).shuffle(docs)
    return lists


def ranked(reranker, name, lists):
    dataset, _ = first_stages.loaded(name)
    texts = {q: [{"text": d.text, "title": d.title} for d in docs] for q, docs in lists.items()}
    asked = [(dataset.queries[query].text, docs) for query, docs in texts.items()]
    found = reranker.rerank_many(asked)
    return {
        query: [lists[query][hit.index] for hit in ranking]
        for query, ranking in zip(lists, found, strict=True)
    }


def worth(name, lists):
    """nDCG@10 with its 95 % interval."""
    dataset, _ = first_stages.loaded(name)
    qrels = {query: dataset.qrels[query] for query in lists}
    run = {q: {doc.id: -float(p) for p, doc in enumerate(docs)} for q, docs in lists.items()}
    found = evaluate(qrels, run, [MEASURE])
    values = np.array([[value] for value in found.per_query[MEASURE].values()])
    low, high = intervals(values, 0)
    return f"{found.mean[MEASURE]:.3f} [{low[0]:.3f}, {high[0]:.3f}]"


def test_what_it_is_worth():
    opened = {
        form: Reranker("boxed-decoder", engine="transformers", **o) for form, o in FORMS.items()
    }
    rows = []
    for name in NAMES:
        for order in ("BM25's", "shuffled"):
            lists = candidates(name, 20, order == "shuffled")
            row = {
                "collection": name,
                "queries": len(lists),
                "order": order,
                "input": worth(name, lists),
            }
            rows.append(row | {f: worth(name, ranked(r, name, lists)) for f, r in opened.items()})
    note = "nDCG@10 over BM25's first 20, 100 words of each, 95 % intervals over queries."
    record("The boxed decoder", rows, note)


def test_what_sliding_windows_find_in_a_hundred():
    rows = []
    with Reranker("boxed-decoder", engine="transformers") as reranker:
        for name in NAMES:
            lists = candidates(name, 100, shuffle=True, limit=50)
            found = worth(name, ranked(reranker, name, lists))
            rows.append(
                {
                    "collection": name,
                    "queries": len(lists),
                    "input": worth(name, lists),
                    "first": found,
                }
            )
    note = "nDCG@10 over BM25's first 100, shuffled, windows of 20 with stride 10."
    record("The boxed decoder, sliding", rows, note)
