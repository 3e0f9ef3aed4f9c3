"""No query's value differs from trec_eval's, from ranx's or from a published one."""

import gzip
from array import array
from pathlib import Path

import pytest
from shared import collection
from tied import tied

from rerank.evaluate import evaluate
from rerank.records import Doc
from rerank.runs import ranked_run


def canonical(run):
    """Trec_eval's order, written out: 32-bit scores, the last id first; scores are n - rank + 1."""
    falling = {}
    for query, scores in run.items():
        docs = sorted(zip(array("f", scores.values()), scores, strict=True), reverse=True)
        falling[query] = {doc: float(len(docs) - i) for i, (_, doc) in enumerate(docs)}
    return falling


def trec_eval(qrels, run, measures, level: int = 1):
    """Pytrec_eval's values by measure and query.

    It leaves absent queries out, which trec_eval -c, like us, counts as 0; and it reads past its
    memory (0.5.11: a crash now and then) where all grades of a query are negative or, for bpref,
    the run has no document.
    """
    import pytrec_eval

    sound = {query: grades for query, grades in qrels.items() if max(grades.values()) >= 0}
    asked = pytrec_eval.RelevanceEvaluator(sound, set(measures), relevance_level=level)
    found = asked.evaluate({query: run[query] for query in sound if run.get(query)})
    columns = {measure: measure.replace(".", "_") for measure in measures}
    return {
        measure: {query: found.get(query, {}).get(column, 0.0) for query in qrels}
        for measure, column in columns.items()
    }


def differing(ours, theirs):
    assert ours.keys() == theirs.keys()
    return [query for query in ours if abs(ours[query] - theirs[query]) > 1e-12]


TREC = {
    "ndcg": "ndcg",
    "map": "map",
    "mrr": "recip_rank",
    "recall": "set_recall",
    "r-precision": "Rprec",
    **{f"ndcg@{k}": f"ndcg_cut.{k}" for k in (1, 3, 10, 20, 100)},
    **{f"map@{k}": f"map_cut.{k}" for k in (5, 10, 100)},
    **{f"recall@{k}": f"recall.{k}" for k in (5, 10, 100)},
    **{f"precision@{k}": f"P.{k}" for k in (1, 5, 10, 100)},
    **{f"success@{k}": f"success.{k}" for k in (1, 5, 10)},
}


def agree_with_trec_eval(qrels, run, level, measures):
    suffix = f"-l{level}" if level > 1 else ""
    names = {
        f"{ours}{suffix}": theirs
        for ours, theirs in measures.items()
        if level == 1 or not ours.startswith("ndcg")
    }
    scores = evaluate(qrels, run, list(names))
    theirs = trec_eval(qrels, run, names.values(), level)
    for ours, name in names.items():
        assert differing(scores.per_query[ours], theirs[name]) == [], ours


def with_bpref(qrels, level):
    """The queries that have a document judged not relevant, or none that is."""
    bounds = {q: [grade for grade in docs.values() if grade >= 0] for q, docs in qrels.items()}
    return {q: qrels[q] for q, g in bounds.items() if not g or min(g) < level or max(g) < level}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("level", [1, 2, 3])
def test_no_query_differs_from_trec_eval_however_many_ties_there_are(seed, level):
    qrels, run = tied(seed)
    agree_with_trec_eval(qrels, run, level, TREC)
    agree_with_trec_eval(with_bpref(qrels, level), run, level, {"bpref": "bpref"})


@pytest.mark.slow
@pytest.mark.parametrize("level", [1, 2])
def test_none_of_ten_thousand_queries_differs_from_trec_eval(level):
    qrels, run = tied(123, queries=10_000)
    agree_with_trec_eval(qrels, run, level, TREC)
    agree_with_trec_eval(with_bpref(qrels, level), run, level, {"bpref": "bpref"})


@pytest.mark.parametrize("k", [1, 3, 10])
def test_reciprocal_rank_with_a_cutoff_is_that_of_the_first_k_documents(k):
    qrels, run = tied(7)
    cut = {query: dict(list(docs.items())[:k]) for query, docs in canonical(run).items()}
    scores = evaluate(qrels, run, [f"mrr@{k}"]).per_query[f"mrr@{k}"]
    assert differing(scores, trec_eval(qrels, cut, ["recip_rank"])["recip_rank"]) == []
    assert scores != evaluate(qrels, run, ["mrr"]).per_query["mrr"]


@pytest.mark.slow
def test_no_query_differs_from_ranx_on_the_canonical_run():
    import ranx

    qrels, run = tied(3)
    qrels = {query: {d: g for d, g in docs.items() if g >= 0} for query, docs in qrels.items()}
    binary = {query: {d: min(g, 1) for d, g in docs.items()} for query, docs in qrels.items()}
    for judged, names in (
        (qrels, ["ndcg@10", "ndcg", "ndcg_burges@10", "map", "map@10-l2", "mrr@5", "recall@10-l3"]),
        (qrels, ["precision@5", "r-precision-l2", "hit_rate@3"]),
        (binary, ["rbp.8", "rbp.95"]),  # with more grades its gains are not 0 or 1
    ):
        theirs = ranx.Run(canonical(run))
        ranx.evaluate(ranx.Qrels(judged), theirs, names, make_comparable=True)
        ours = evaluate(judged, run, names)
        for name, ours_name in zip(names, ours.mean, strict=True):
            assert differing(ours.per_query[ours_name], theirs.scores[name]) == []
            assert ours.mean[ours_name] == pytest.approx(theirs.mean_scores[name], abs=1e-12)


@pytest.mark.slow
def test_25_published_runs_score_what_they_are_known_to_score():
    folder = collection("dl19")
    qrels: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, doc, grade = line.split("\t")
        qrels.setdefault(query, {})[doc] = int(grade)
    index = [line.split("\t") for line in (folder / "runs" / "INDEX.tsv").read_text().splitlines()]
    assert len(index[1:]) == 25
    for name, *_, ndcg, ap, recall, _source in index[1:]:
        run = trec_file(folder / "runs" / f"{name}.trec.gz")
        agree_with_trec_eval(qrels, run, 1, {"ndcg@10": "ndcg_cut.10", "bpref": "bpref"})
        agree_with_trec_eval(qrels, run, 2, {"map": "map", "r-precision": "Rprec"})
        # the index lists tied documents in the order of the file, but those of repllama by id
        counted = run if name == "repllama" else in_file_order(run)
        mean = evaluate(qrels, counted, ["ndcg@10", "AP(rel=2)@100", "R(rel=2)@100"]).mean
        found = [round(value, 4) for value in mean.values()]
        assert found == [float(ndcg), float(ap), float(recall)], name


def in_file_order(run):
    falling = {q: sorted(docs, key=docs.__getitem__, reverse=True) for q, docs in run.items()}
    return ranked_run({q: [Doc(doc, "") for doc in docs] for q, docs in falling.items()})


def trec_file(path: Path):
    run: dict[str, dict[str, float]] = {}
    with gzip.open(path, "rt") as lines:
        for query, _, doc, _, score, _ in map(str.split, lines):
            run.setdefault(query, {})[doc] = float(score)
    return run
