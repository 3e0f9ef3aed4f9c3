"""First stages on real collections: what they find, in what time and memory. Nothing but prints.

Embeddings are made once, in minutes, and kept in the cache folder, and so are the ratings of a
model that searches, `--teacher METHOD=MODEL`.
"""

import json
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from bench import first_stages
from bench.report import record

from rerank.evaluate import evaluate
from rerank.evaluate.compare import compare
from rerank.methods import METHODS
from rerank.recipes.stages import (
    DenseOptions,
    FusionOptions,
    LuceneOptions,
    MuveraOptions,
    RatingOptions,
)
from rerank.retrieve import BM25
from rerank.retrieve.cur import Anchors, with_ridge
from rerank.retrieve.dense import Dense
from rerank.retrieve.fusion import fused
from rerank.retrieve.muvera import of_docs, of_queries, width
from rerank.tasks.rating import Rater
from rerank.tasks.searching import Beginning, matrix_of, phrases

pytestmark = pytest.mark.slow

SHARED = ("scifact", "vaswani", "cacm", "dbpedia-entity-5k", "noveleval")
SMALL = "dbpedia-entity-5k"
AT_ONCE = 256  # queries for which a document is read once


def timed(call):
    begun = perf_counter()
    found = call()
    return found, round(perf_counter() - begun, 2)


def worth(dataset, run, measure="ndcg@10"):
    return evaluate(dataset.qrels, run, [measure]).mean[measure]


@pytest.mark.skipif(find_spec("pyserini") is None, reason="extra lucene is missing")
def test_our_bm25_beside_lucene(tmp_path):
    from rerank.retrieve.lucene import Lucene

    rows = []
    for name in SHARED:
        dataset, queries = first_stages.loaded(name)
        corpus = dataset.corpus.values()
        ours, made = timed(lambda corpus=corpus: BM25.of(corpus, cache=tmp_path))
        theirs, built = timed(lambda corpus=corpus: Lucene(corpus, LuceneOptions(), tmp_path))
        mine, asked = timed(lambda index=ours, queries=queries: index.search(queries, 100))
        found, searched = timed(lambda index=theirs, queries=queries: index.search(queries, 100))
        same = [len(mine[q].keys() & docs.keys()) / len(docs) for q, docs in found.items() if docs]
        rows.append({
            "collection": name,
            "nDCG@10": worth(dataset, mine),
            "Lucene's": worth(dataset, found),
            "shared of 100": float(np.mean(same)),
            "index, s": made, "Lucene's index, s": built,
            "search, s": asked, "Lucene's search, s": searched,
        })  # fmt: skip
    record("First stage: BM25 and Lucene", rows)


def test_indexes_of_vectors():
    dataset, queries = first_stages.loaded("scifact")
    encoder, rows = None, []
    for kind in ("flat", "hnsw", "binary", "ivfpq"):
        index = Dense(dataset.corpus.values(), DenseOptions(index=kind), encoder=encoder)
        encoder = index.encoder
        run, seconds = timed(lambda index=index: index.search(queries, 100))
        rows.append({
            "index": kind,
            "nDCG@10": worth(dataset, run),
            "recall@10 of exact": index.record.get("recall@10_of_exact", 1.0),
            "recall@100 of exact": index.record.get("recall@100_of_exact", 1.0),
            "memory": round(index.record["bytes"] / index.record["bytes_exact"], 3),
            "search and measuring, s": seconds,
        })  # fmt: skip
    record("First stage: MiniLM on scifact", rows, "300 queries, 5 183 documents.")


def test_hybrid_beside_its_parts():
    dataset, queries = first_stages.loaded("scifact")
    words = BM25.of(dataset.corpus.values()).search(queries, 1000)
    vectors = Dense(dataset.corpus.values()).search(queries, 1000)
    runs = {"bm25": words, "dense": vectors, "rrf": fused([words, vectors], FusionOptions(), 1000)}
    found = compare(
        {
            name: evaluate(dataset.qrels, run, ["ndcg@10"]).per_query["ndcg@10"]
            for name, run in runs.items()
        },
        "bm25",
    )
    rows = [
        {"run": name, "nDCG@10": mean, "p against bm25": found.differences[name].p_holm}
        if name in found.differences
        else {"run": name, "nDCG@10": mean, "p against bm25": "-"}
        for name, mean in found.means.items()
    ]
    record("First stage: hybrid on scifact", rows)


def test_muvera_beside_exact_maxsim():
    truth, exact = first_stages.ratings(SMALL)
    queries, docs = first_stages.tokens(SMALL)
    asked = queries[: len(queries) - first_stages.ANCHORS]
    rows = []
    for repeats in (10, 20):
        shape = MuveraOptions(repeats=repeats)
        vectors, made = timed(lambda shape=shape: of_docs(docs, shape))
        begun = perf_counter()
        products = of_queries(asked, shape) @ vectors.T
        near = np.argpartition(-products, 100, axis=1)[:, :100]
        seconds = (perf_counter() - begun) / len(asked)
        shares = [first_stages.share(row.tolist(), truth[n]) for n, row in enumerate(near)]
        rows.append({
            "numbers": width(shape),
            "recall@100 of MaxSim's 10": float(np.mean(shares)),
            "search, ms": round(1000 * seconds, 2),
            "MaxSim, ms": round(1000 * exact, 2),
            "encoding, s": made,
        })  # fmt: skip
    record(f"First stage: MUVERA on {SMALL}", rows)


def searched(anchors, values, start, count, budget, rounds, beside=()):
    """How much of the judge's best 10 a search finds, whose questions `values` answer."""
    asking = anchors.search(range(len(values)), start, count, budget, rounds, beside)
    try:
        questions = next(asking)
        while True:
            questions = asking.send([values[question.doc] for question in questions])
    except StopIteration as done:
        return first_stages.share(done.value[:10], values)


def shuffled(count, seed):
    return np.random.default_rng(seed).permutation(count).tolist()


def by_maxsim(dense, dataset, queries):
    """Ratings of the judged queries, and of phrases."""
    truth, _ = first_stages.ratings(SMALL)
    return np.split(truth, [len(queries)])


def by_cosine(dense, dataset, queries):
    """Ratings of the judged queries, and of documents, by one vector a text."""
    vectors = dense.vectors.read()
    anchors = vectors[shuffled(len(vectors), 3)[: first_stages.ANCHORS]]
    return dense.embedded(queries) @ vectors.T, anchors @ vectors.T


def by_model(options):
    """Ratings of the judged queries, and of phrases, by a model that rates; kept in the cache."""

    def rated(dense, dataset, queries):
        docs = list(dataset.corpus.values())
        with closing(Rater(options)) as rater:
            anchors = phrases(docs, first_stages.ANCHORS, 0)
            return tuple(matrix_of(rater, docs, asked, AT_ONCE) for asked in (queries, anchors))

    return rated


def judges(named):
    found = {"maxsim": by_maxsim, "cosine": by_cosine}
    for name in named:
        method, _, model = name.partition("=")
        if METHODS[method].strategy == "pointwise":
            found[name] = by_model(RatingOptions(method=method, model=model))
    return found


def test_search_with_a_judge_beside_reranking(pytestconfig):
    dataset, queries = first_stages.loaded(SMALL)
    dense, words = Dense(dataset.corpus.values()), BM25.of(dataset.corpus.values())
    begin = Beginning(list(dataset.corpus.values()), [words, dense], 0)
    begun = [begin(query)[1:] for query in queries]
    orders = {
        f"{name} + rerank": [np.argsort(-beside[place]).tolist() for _, beside in begun]
        for place, name in enumerate(("bm25", "dense"))
    } | {"rrf + rerank": [order for order, _ in begun]}
    one, two = ([(shuffled(len(dataset.corpus), seed), ())] * len(queries) for seed in (0, 1))
    alone = [(order, ()) for order in orders["dense + rerank"]]
    for judge, rated in judges(pytestconfig.getoption("teacher")).items():
        judged, others = rated(dense, dataset, queries)
        anchors = with_ridge(others, 100)

        def each(starts, budget, rounds, judged=judged, anchors=anchors):
            numbers = (budget // 2, budget, rounds)
            pairs = zip(judged, starts, strict=True)
            return [searched(anchors, v, start, *numbers, rows) for v, (start, rows) in pairs]

        def found(*given, each=each):
            return mean(each(*given))

        def apart(budget, each=each):
            return difference(each(one, budget, 1), each(two, budget, 1))

        def reranked(lists, budget, judged=judged):
            pairs = zip(judged, lists, strict=True)
            return mean(first_stages.share(order[:budget], values) for values, order in pairs)

        rows = [
            {
                "judge calls": budget,
                **{name: reranked(lists, budget) for name, lists in orders.items()},
                "ANNCUR": found(one, budget, 1),
                "another seed": found(two, budget, 1),
                "apart": apart(budget),
                "ADACUR": found(one, budget, 5),
                "ADACUR from dense": found(alone, budget, 5),
                "with first stages beside": found(begun, budget, 5),
            }
            for budget in (50, 100, 200, 400)
        ]
        note = f"{SMALL}; {len(others)} anchor queries, ridge {anchors.ridge:g}."
        record(f"First stage: recall@10 of a judge's own ranking, by {judge}", rows, note)


def difference(one, two):
    """Of two lists of one number for each query, with its interval."""
    tables = {name: dict(enumerate(values)) for name, values in (("one", one), ("two", two))}
    gain = compare(tables, "one").differences["two"]
    return f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"


def mean(values):
    return float(np.mean(list(values)))


def test_search_with_a_judge_has_no_dip(pytestconfig):
    dataset, queries = first_stages.loaded(SMALL)
    dense = Dense(dataset.corpus.values())
    start = shuffled(len(dataset.corpus), 0)
    for judge, rated in judges(pytestconfig.getoption("teacher")).items():
        judged, others = rated(dense, dataset, queries)

        def found(ridge, count, judged=judged, others=others):
            kept = Anchors(others[:100], ridge)
            return mean(searched(kept, v, start, count, count + 50, 1) for v in judged)

        rows = [
            {
                "anchor documents": count,
                "ridge 0.01": found(0.01, count),
                "no ridge": found(1e-15, count),
            }
            for count in (25, 50, 75, 90, 100, 110, 150, 200)
        ]
        what = "100 anchor queries, recall@10 with 50 calls more"
        record(f"First stage: {what}, by {judge}", rows, f"{SMALL}.")


def test_a_million_documents():
    script = Path(__file__).with_name("many_docs.py")
    done = subprocess.run(
        [sys.executable, str(script), "1000000"], capture_output=True, text=True, check=True
    )
    record("First stage: BM25 of a million documents", [json.loads(done.stdout.splitlines()[-1])])
