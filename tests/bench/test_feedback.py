"""What a reranker teaches its retriever: recall of the second search. Nothing but prints.

`--teacher METHOD=MODEL` adds a model that teaches, such as `--teacher scorer=some/cross-encoder`; a
method that rates every document alone teaches by its scores and by its order, another by its order.
`--queries N` takes the first N queries.
"""

from contextlib import closing

import pytest
from bench import first_stages
from bench.report import record

from rerank import Reranker
from rerank.evaluate import evaluate
from rerank.evaluate.compare import compare
from rerank.methods import METHODS
from rerank.recipes.stages import FeedbackOptions, FusionOptions, RatingOptions
from rerank.retrieve import BM25
from rerank.retrieve.dense import Dense
from rerank.retrieve.feedback import Teacher
from rerank.retrieve.fusion import fused
from rerank.tasks.rating import Rater

pytestmark = pytest.mark.slow
MEASURE, POOL = "recall@100", 100


def by_fusion(dataset, pools):
    """The scores of BM25 and MiniLM together, which no vector of MiniLM has."""
    words = BM25.of(dataset.corpus.values()).rank([*pools], {q.id: [*pools[q]] for q in pools})
    both = [words, {query.id: docs for query, docs in pools.items()}]
    found = fused(both, FusionOptions(method="combsum"))
    return {
        query: {doc: 10 * score for doc, score in docs.items()} for query, docs in found.items()
    }


def by_rating(options):
    def rated(dataset, pools):
        texts = {query: [dataset.corpus[doc] for doc in docs] for query, docs in pools.items()}
        with closing(Rater(options)) as rater:
            return rater.scored(texts)

    return rated


def by_order(method, model):
    def ordered(dataset, pools):
        asked = [
            (query.text, [dataset.corpus[doc] for doc in docs]) for query, docs in pools.items()
        ]
        with Reranker(model, method=method) as reranker:
            ranked = reranker.rerank_many(asked)
        return {
            query.id: {hit.document.id: -float(hit.rank) for hit in ranking}
            for query, ranking in zip(pools, ranked, strict=True)
        }

    return ordered


def by_judgments(dataset, pools):
    grades = dataset.qrels
    return {q.id: {doc: float(grades[q.id].get(doc, 0)) for doc in pools[q]} for q in pools}


def teachers(named):
    """Each teacher's name, where its scores are from, and whether only its order counts."""
    found = {"BM25 + MiniLM": (by_fusion, False)}
    for name in named:
        method, _, model = name.partition("=")
        if METHODS[method].strategy == "pointwise":
            found[name] = by_rating(RatingOptions(method=method, model=model)), False
        else:
            found[name] = by_order(method, model), True
    return {**found, "the judgments": (by_judgments, True)}


@pytest.mark.parametrize("name", ["dbpedia-entity-5k", "scifact"])
def test_recall_before_and_after_a_reranker_taught_its_retriever(name, pytestconfig):
    dataset, queries = first_stages.loaded(name)
    queries = queries[: pytestconfig.getoption("queries")]
    dense = Dense(dataset.corpus.values())
    before = dense.search(queries, POOL)
    pools = {query: before[query.id] for query in queries}
    rows = []
    for teacher, (scored, orders) in teachers(pytestconfig.getoption("teacher")).items():
        scores = scored(dataset, pools)
        taught = {"its order": (scores, None)}
        if not orders:
            taught = {"its scores": (None, scores), **taught, "both": (scores, scores)}
        for step, runs in taught.items():
            rows.append(
                {"teacher": teacher, "by": step, **row(dense, queries, dataset, before, runs)}
            )
    note = f"{len(queries)} queries, {len(dataset.corpus)} documents; MiniLM retrieves, {MEASURE}."
    record(f"First stage: feedback on {name}", rows, note)


def row(dense, queries, dataset, before, runs):
    """The recall of both searches, and what the second gains with its interval."""
    order, scores = runs
    teacher = Teacher(dense, order, scores, FeedbackOptions(order="-"))
    after = dense.nearest(queries, teacher.moved(queries), POOL)
    judged = {query.id: dataset.qrels[query.id] for query in queries}
    values = {
        when: evaluate(judged, run, [MEASURE]).per_query[MEASURE]
        for when, run in (("before", before), ("after", after))
    }
    found = compare(values, "before")
    gain = found.differences["after"]
    return {
        "before": round(found.means["before"], 4),
        "after": round(found.means["after"], 4),
        "gain": f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]",
        "p": gain.p,
        "CPU ms a query": teacher.record["cpu_milliseconds_each"],
    }
