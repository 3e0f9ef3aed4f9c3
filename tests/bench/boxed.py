"""What the bench of the boxed reranker shares: collections, scores that are kept, and means.

Nothing here is fitted: the prior's weight was chosen on vaswani and cacm, where training looks too.
"""

import hashlib
import json
import os
import random

import numpy as np
from shared import collection

from rerank import datasets, files
from rerank.engines.models.checkpoints import Files
from rerank.engines.models.encoders import CrossEncoder, Encoder
from rerank.engines.models.matching import Matcher
from rerank.evaluate import evaluate
from rerank.retrieve import BM25
from rerank.train.wiring import matching_head

COLLECTIONS = tuple(
    os.environ.get("BOXED_ON", "scifact,dbpedia-entity-5k,noveleval,dl19").split(",")
)
DEPTH, PRIOR, SAMPLES = 100, 0.5, 10_000
AT_MOST: dict[str, int] = {}
"""Queries of a collection, drawn by chance, where all of them would take too long."""


def candidates(name):
    """A collection, and BM25's first 100 for each query; dl19's from the whole of MS MARCO."""
    dataset = datasets.load(str(collection(name)))
    asked = sorted(dataset.qrels)
    asked = sorted(random.Random(0).sample(asked, min(AT_MOST.get(name, 10**6), len(asked))))
    if name == "dl19":
        run = datasets.read_run(collection(name) / "runs" / "bm25.trec.gz")
        found = {
            query: {doc: run[query][doc] for doc in run[query] if doc in dataset.corpus}
            for query in asked
        }
    else:
        queries = [dataset.queries[query] for query in asked]
        found = BM25.of(dataset.corpus.values()).search(queries, DEPTH)
    first = {
        query: dict(sorted(of.items(), key=lambda x: -x[1])[:DEPTH]) for query, of in found.items()
    }
    return dataset, first


def opened(model):
    """A cross-encoder, or an encoder or the boxed model, which remember every text they read."""
    found = Files(model)
    if "ForSequenceClassification" in found.architecture:
        return CrossEncoder(found, "auto", "float32", None)
    scorer = (
        Matcher(found, "auto", "float32", None)
        if getattr(found.config, "match", False)
        else Encoder(found, "auto", "float32", None, "cosine")
    )
    scorer._kept = 10**9
    return scorer


def scored(model, name):
    """The model's score of every candidate, kept in the cache folder; a killed bench goes on."""
    dataset, first = candidates(name)
    version = hashlib.sha256(f"{model} {Files(model).version} {DEPTH}".encode()).hexdigest()[:12]
    path = files.cache() / "bench" / f"boxed.{name}.{version}.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    if lacking := [query for query in first if query not in found]:
        path.parent.mkdir(parents=True, exist_ok=True)
        scorer = opened(model)
        for query in lacking:
            found[query] = _scores(scorer, dataset, query, first[query])
            path.write_text(json.dumps(found))
    return found


def _scores(scorer, dataset, query, docs):
    texts = [dataset.corpus[doc] for doc in docs]
    pairs = [(dataset.queries[query].text, f"{d.title} {d.text}".strip()) for d in texts]
    with scorer.computing():
        return {
            doc: one.score for doc, one in zip(docs, scorer.score(scorer.read(pairs)), strict=True)
        }


def labelled(model, names):
    """Each candidate's score, whether it is relevant, and its share of its collection."""
    scores, relevant, share = [], [], []
    for name in names:
        dataset, first = candidates(name)
        found = scored(model, name)
        pairs = [
            (found[q][d], dataset.qrels[q].get(d, 0) > 0) for q, docs in first.items() for d in docs
        ]
        scores += [score for score, _ in pairs]
        relevant += [is_one for _, is_one in pairs]
        share += [1 / len(pairs)] * len(pairs)
    return np.array(scores), np.array(relevant, float), np.array(share)


def platt(scores, relevant, share):
    """Slope and offset of the log-odds of relevance, the likeliest; Newton's steps (Platt 1999)."""
    rows, found = np.stack([scores, np.ones_like(scores)]), np.zeros(2)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-found @ rows))
        bend = (rows * (share * chance * (1 - chance))) @ rows.T
        found = found + np.linalg.solve(bend, rows @ (share * (relevant - chance)))
    return float(found[0]), float(found[1])


def with_prior(scores, first):
    """A model's z-scores and half as much of BM25's."""
    return {
        query: {
            doc: float(value)
            for doc, value in zip(
                of, _unit(of.values()) + PRIOR * _unit(first[query][doc] for doc in of), strict=True
            )
        }
        for query, of in scores.items()
    }


def shuffled(run, seed=0):
    """The same candidates in an order of chance, as a first stage's scores."""
    found = {}
    for query, scores in run.items():
        docs = list(scores)
        random.Random(f"{seed} {query}").shuffle(docs)
        found[query] = {doc: float(-place) for place, doc in enumerate(docs)}
    return found


def ndcg(dataset, run):
    """nDCG@10 of each query; a tie keeps the order in which the candidates came."""
    ranked = {
        query: {doc: float(-rank) for rank, doc in enumerate(sorted(of, key=lambda d: -of[d]))}
        for query, of in run.items()
    }
    qrels = {query: dataset.qrels[query] for query in run}
    return evaluate(qrels, ranked, ["ndcg@10"]).per_query["ndcg@10"]


def interval(tables, other=None):
    """The mean over collections, of a method or of its lead over another, and its 95 % interval.

    Queries are drawn again within each collection; a lead is paired by query. The last number is
    how often a lead drawn so was not above 0, doubled: a two-sided p.
    """
    draw = np.random.default_rng(0)
    values = [np.array(t) for t in tables]
    if other is not None:
        values = [a - np.array(b) for a, b in zip(values, other, strict=True)]
    means = np.mean(
        [v[draw.integers(len(v), size=(SAMPLES, len(v)))].mean(1) for v in values], axis=0
    )
    low, high = np.quantile(means, [0.025, 0.975])
    p = min(1.0, 2 * min((means <= 0).mean(), (means >= 0).mean()) + 1 / SAMPLES)
    return float(np.mean([v.mean() for v in values])), float(low), float(high), float(p)


def _unit(values):
    found = np.array(list(values), float)
    return (found - found.mean()) / (found.std() + 1e-9)


def untrained(name):
    """BM25's first 100 and what MiniLM's states say of them by each part of a head of no step."""
    dataset, first = candidates(name)
    found = Files("all-MiniLM-L6-v2")
    words = [f"{doc.title} {doc.text}".strip() for doc in dataset.corpus.values()]
    scorer = Matcher(found, "cpu", "auto", None, matching_head(found.tokenizer(), words))
    scorer._kept = 10**9
    whole = scorer.model.match.mix.detach().clone()
    parts = {"MiniLM cosine": (1, 0, 0), "MaxSim": (0, 1, 0), "head, untrained": whole}
    runs = {"BM25": first}
    for label, mix in parts.items():
        scorer.model.match.mix.data = scorer.torch.as_tensor(mix, dtype=scorer.torch.float32)
        runs[label] = {q: _scores(scorer, dataset, q, docs) for q, docs in first.items()}
    runs["MiniLM cosine + prior"] = with_prior(runs["MiniLM cosine"], first)
    return {label: list(ndcg(dataset, run).values()) for label, run in runs.items()}
