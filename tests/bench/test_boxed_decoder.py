"""The boxed decoder on real collections, candidates as BM25 has them and shuffled."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
from bench import boxed, first_stages
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
TRAINED = [folder for folder in os.environ.get("BOXED_TRAINED", "").split(",") if folder]


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


def per_query(name, lists):
    """nDCG@10 of each query."""
    dataset, _ = first_stages.loaded(name)
    qrels = {query: dataset.qrels[query] for query in lists}
    run = {q: {doc.id: -float(p) for p, doc in enumerate(docs)} for q, docs in lists.items()}
    return evaluate(qrels, run, [MEASURE]).per_query[MEASURE]


def worth(name, lists):
    """nDCG@10 with its 95 % interval."""
    values = np.array([[value] for value in per_query(name, lists).values()])
    low, high = intervals(values, 0)
    return f"{values.mean():.3f} [{low[0]:.3f}, {high[0]:.3f}]"


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


@pytest.mark.skipif(not TRAINED, reason="BOXED_TRAINED names no folders of trained decoders")
def test_what_training_added_where_the_input_is_shuffled():
    given = {name: candidates(name, 20, shuffle=True) for name in NAMES}
    tables = {}
    for model in ("boxed-decoder", *TRAINED):
        with Reranker(model, method="boxed-decoder", engine="transformers") as reranker:
            tables[Path(model).name] = [
                [*per_query(name, ranked(reranker, name, lists)).values()]
                for name, lists in given.items()
            ]
    wired, rows = tables["boxed-decoder"], []
    for model, values in tables.items():
        means = {name: f"{np.mean(of):.3f}" for name, of in zip(NAMES, values, strict=True)}
        lead, low, high, p = boxed.interval(values, wired)
        above = "" if values is wired else f"{lead:+.3f} ({low:+.3f} to {high:+.3f}), p {p:.3f}"
        mean = f"{boxed.interval(values)[0]:.3f}"
        rows.append({"decoder": model} | means | {"mean": mean, "above the wired": above})
    note = "nDCG@10 over BM25's first 20, shuffled; 40 queries at most; leads paired by query."
    record("The boxed decoder, trained", rows, note)


def test_what_sliding_windows_find_in_a_hundred():
    with Reranker("boxed-decoder", engine="transformers") as reranker:
        lists = candidates("scifact", 100, shuffle=True, limit=30)
        found = worth("scifact", ranked(reranker, "scifact", lists))
    row = {"collection": "scifact", "queries": len(lists), "input": worth("scifact", lists)}
    note = "nDCG@10 over BM25's first 100, shuffled, windows of 20 with stride 10."
    record("The boxed decoder, sliding", [row | {"labels": found}], note)
