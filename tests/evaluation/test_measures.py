"""Each measure is its definition worked out by hand, in whatever order its input is listed."""

import random
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest
from tied import tied

from rerank.errors import InputError
from rerank.evaluate import evaluate


@pytest.mark.parametrize(
    ("scores", "ranking"),
    [
        ({"10": 1.0, "9": 1.0, "z": 1.0, "é": 1.0, "A": 2.0, "a": -1.0}, "A é z 9 10 a"),
        ({"a": 30.0 + 1e-7, "b": 30.0}, "b a"),  # equal as 32-bit floats
        ({"a": 30.0 + 1e-5, "b": 30.0}, "a b"),
        ({"a": 1e39, "b": 2e39, "c": 1e38}, "b a c"),
    ],
)
def test_ties_go_to_the_last_document_id_in_byte_order(scores, ranking):
    for rank, doc in enumerate(ranking.split(), 1):
        assert evaluate({"q": {doc: 1}}, {"q": scores}, ["mrr"]).mean["mrr"] == 1 / rank


def test_a_score_does_not_depend_on_the_order_in_which_documents_and_queries_are_listed():
    qrels, run = tied(11)
    dice = random.Random(0)
    names = ["ndcg@10", "map", "mrr", "judged@10", "err@20", "rbp.8", "r-precision", "wss@95"]
    expected = evaluate(qrels, run, names)
    tied_still = evaluate(qrels, run, names, "expected")
    for _ in range(5):
        mixed = {q: dict(dice.sample(list(run[q].items()), len(run[q]))) for q in run}
        mixed = dict(dice.sample(list(mixed.items()), len(mixed)))
        turned = {query: dict(reversed(qrels[query].items())) for query in reversed(qrels)}
        found = evaluate(turned, mixed, names)
        assert (found.mean, found.per_query) == (expected.mean, expected.per_query)
        found = evaluate(turned, mixed, names, "expected")
        assert (found.mean, found.per_query) == (tied_still.mean, tied_still.per_query)


def test_every_query_of_the_qrels_counts_and_what_is_absent_is_told():
    qrels = {"found": {"a": 1}, "absent": {"a": 1}, "silent": {"a": 1}, "hopeless": {"b": 0}}
    run = {"found": {"a": 1.0}, "silent": {}, "hopeless": {"b": 1.0}, "extra": {"a": 1.0}}
    before = deepcopy((qrels, run))
    scores = evaluate(qrels, run, ["nDCG@10", "RR"])
    assert scores.per_query["ndcg@10"] == {"found": 1, "absent": 0, "silent": 0, "hopeless": 0}
    assert scores.mean == {"ndcg@10": 0.25, "mrr": 0.25}
    assert scores.missing == ("absent", "silent")
    assert scores.unjudged == ("extra",)
    assert (qrels, run) == before


@pytest.mark.parametrize("run", [{}, {"q": {}}, {"other": {"a": 1.0}}])
def test_a_run_without_a_document_for_any_query_scores_zero(run):
    names = ["ndcg@10", "ndcg", "map", "mrr", "recall@5", "recall", "precision@5", "judged@5"]
    names += ["success@5", "r-precision", "bpref", "rbp.8", "err", "wss@95", "recall@10%"]
    scores = evaluate({"q": {"a": 2, "b": 0}}, run, names)
    assert scores.mean == dict.fromkeys(names, 0.0)
    assert scores.missing == ("q",)


@pytest.mark.parametrize("grades", [{}, {"a": 0, "b": 0}, {"a": -1}])
def test_judgments_that_find_nothing_relevant_score_zero_and_count(grades):
    scores = evaluate({"q": grades, "r": {"a": 1}}, {"q": {"a": 1.0}, "r": {"a": 1.0}}, ["AP"])
    assert scores.mean == {"map": 0.5}


def test_ndcg_has_linear_gain():
    scores = evaluate({"q": {"a": 3, "b": 1}}, {"q": {"b": 2.0, "a": 1.0}}, ["ndcg"])
    discount = 0.6309297535714575  # 1 / log2(3)
    assert scores.mean["ndcg"] == pytest.approx((1 + 3 * discount) / (3 + discount), abs=1e-12)


def test_ndcg_burges_has_exponential_gain():
    scores = evaluate({"q": {"a": 3, "b": 1}}, {"q": {"b": 2.0, "a": 1.0}}, ["ndcg_burges"])
    discount = 0.6309297535714575  # 1 / log2(3)
    assert scores.mean["ndcg_burges"] == pytest.approx((1 + 7 * discount) / (7 + discount))


def test_err_is_gdevals():
    """gdeval.pl 1.2a: the chance to stop is (2^grade - 1) / 16, whatever the highest grade is."""
    qrels = {"q": {"a": 3, "b": 0, "c": 1, "d": 4, "e": 2}, "none": {"a": 0}}
    run = {"q": {"b": 9.0, "x": 8.0, "c": 7.0, "a": 6.0, "d": 5.0}, "none": {"a": 1.0}}
    scores = evaluate(qrels, run, ["err", "err@4", "ERR@2"])
    upto4 = 1 / 16 / 3 + 15 / 16 * 7 / 16 / 4
    whole = upto4 + 15 / 16 * 9 / 16 * 15 / 16 / 5
    found = [scores.per_query[name]["q"] for name in ("err", "err@4", "err@2")]
    assert found == pytest.approx([whole, upto4, 0.0])
    assert scores.per_query["err"]["none"] == 0
    with pytest.raises(InputError, match="query r: err knows no grade above 4"):
        evaluate({"q": {"a": 4}, "r": {"a": 5}}, run, ["err"])


def test_rbp_adds_up_what_a_patient_reader_finds_and_never_exceeds_one():
    qrels = {"q": {"a": 3, "b": 1, "c": 0}}
    run = {"q": {"a": 3.0, "c": 2.0, "b": 1.0}}
    mean = evaluate(qrels, run, ["rbp.8", "rbp.8@2", "rbp.8-l2", "rbp.5"]).mean
    assert list(mean.values()) == pytest.approx([0.2 * (1 + 0.64), 0.2, 0.2, 0.625])


def test_a_condensed_list_is_the_list_of_judged_documents_alone():
    qrels, run = tied(21)
    judged = {
        query: {doc: score for doc, score in docs.items() if qrels.get(query, {}).get(doc, -1) >= 0}
        for query, docs in run.items()
    }
    names = ["ndcg@5", "map", "map@10-l2", "mrr", "precision@5", "recall@5", "rbp.8", "err@3"]
    found = evaluate(qrels, run, [f"{name}-condensed" for name in names])
    assert list(found.per_query.values()) == list(evaluate(qrels, judged, names).per_query.values())
    assert found.mean["ndcg@5-condensed"] != evaluate(qrels, run, ["ndcg@5"]).mean["ndcg@5"]


def test_bpref_is_refused_where_no_judgment_says_not_relevant():
    """Most BEIR sets: trec_eval would give 1 to whatever is found, ranx no number."""
    qrels = {"q": {"a": 1, "b": 0}, "r": {"a": 1, "b": -1}, "s": {"a": 1}, "t": {"a": 0}}
    run = {query: {"a": 1.0} for query in qrels}
    with pytest.raises(InputError, match=r"query r: bpref is not defined .* in 2 of 4 queries$"):
        evaluate(qrels, run, ["bpref"])
    defined = {query: qrels[query] for query in ("q", "t")}
    assert evaluate(defined, run, ["bpref"]).per_query["bpref"] == {"q": 1.0, "t": 0.0}


def test_judged_at_k_is_the_share_of_the_first_k_places_with_a_judged_document():
    qrels = {"q": {"a": 1, "b": 0, "c": -1}, "short": {"a": 0}, "absent": {"a": 1}}
    run = {"q": {"b": 5.0, "x": 4.0, "a": 3.0, "c": 2.0, "y": 1.0}, "short": {"a": 1.0}}
    scores = evaluate(qrels, run, ["judged@2", "Judged@4"])
    assert scores.per_query == {
        "judged@2": {"q": 0.5, "short": 0.5, "absent": 0},
        "judged@4": {"q": 0.5, "short": 0.25, "absent": 0},  # a negative grade is no judgment
    }


def test_values_are_plain_floats_that_json_can_write():
    scores = evaluate({"q": {"a": 1}}, {"q": {"a": 1.0}}, ["ndcg@10", "judged@10"])
    values = [
        *scores.mean.values(),
        *(v for row in scores.per_query.values() for v in row.values()),
    ]
    assert {type(value) for value in values} == {float}


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_finite_is_refused_by_name(score):
    with pytest.raises(InputError, match=f"query q: document b has no finite score: {score}"):
        evaluate({"q": {"a": 1}}, {"q": {"a": 1.0, "b": score}}, ["map"])


def test_a_grade_that_is_no_whole_number_is_refused_by_name():
    with pytest.raises(InputError, match=r"query q: the grade of a is no whole number: 0\.5"):
        evaluate({"q": {"a": 0.5}}, {"q": {"a": 1.0}}, ["map"])


def test_qrels_without_a_query_are_refused():
    with pytest.raises(InputError, match="no relevance judgments"):
        evaluate({}, {"q": {"a": 1.0}}, ["map"])


def test_eight_threads_get_the_same_values():
    qrels, run = tied(5)
    expected = evaluate(qrels, run, ["ndcg@10", "map"])
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: evaluate(qrels, run, ["ndcg@10", "map"]), range(32)))
    assert found == [expected] * 32
