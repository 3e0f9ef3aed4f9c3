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

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

NAMES = ("noveleval", "dbpedia-entity-5k", "dl19", "scifact")
ORDERS = ("BM25's", "shuffled")
ONE_BY_ONE = {"method": "yes-no", "prompt": "pointwise/boxed"}
MOST = 40
MEASURE = "ndcg@10"


def candidates(name, depth, shuffle, limit=MOST):
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
    lists = Reranker("boxed-decoder", engine="transformers")
    ones = Reranker("boxed-decoder", engine="transformers", **ONE_BY_ONE)
    rows = []
    for name in NAMES:
        given = {order: candidates(name, 20, order == "shuffled") for order in ORDERS}
        rated = worth(name, ranked(ones, name, given["shuffled"]))
        for order, found in given.items():
            row = {"collection": name, "queries": len(found), "order": order}
            row |= {"input": worth(name, found), "labels": worth(name, ranked(lists, name, found))}
            rows.append(row | {"yes and no": rated})
            print(rows[-1], flush=True)
    note = (
        f"nDCG@10 over BM25's first 20, 100 words of each, 95 % intervals; {MOST} queries at most."
    )
    record("The boxed decoder", rows, f"{note} Yes and no are asked of one document at a time.")


def test_what_sliding_windows_find_in_a_hundred():
    with Reranker("boxed-decoder", engine="transformers") as reranker:
        lists = candidates("scifact", 100, shuffle=True, limit=30)
        found = worth("scifact", ranked(reranker, "scifact", lists))
    row = {"collection": "scifact", "queries": len(lists), "input": worth("scifact", lists)}
    note = "nDCG@10 over BM25's first 100, shuffled, windows of 20 with stride 10."
    record("The boxed decoder, sliding", [row | {"labels": found}], note)
