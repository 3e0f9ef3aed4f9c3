"""Equal scores: what a measure is in the mean over all their orders, and at its best and worst."""

import random
from itertools import groupby, permutations, product
from math import fsum
from statistics import fmean, stdev

import pytest
from shared import collection

from rerank.datasets import read_qrels, read_run
from rerank.evaluate import TieSpan, evaluate, tie_spans
from rerank.scoring import score_files

MEASURES = [
    *("ndcg", "ndcg@2", "ndcg_burges@3", "precision@1", "precision@4", "recall@2", "recall"),
    *("r-precision", "judged@3", "rbp.8", "rbp.5@2", "map", "map@3", "map-l2", "mrr", "mrr@2"),
    *("success@1", "success@3-l2", "bpref", "bpref-l2", "err", "err@2", "last_rel", "wss@95"),
    *("wss@100", "recall@20%", "recall@50%-l2", "ndcg@2-condensed", "map-condensed"),
    *("precision@2-condensed", "err-condensed", "mrr@1-condensed"),
]


def orders(scores):
    """Every ranking that the scores allow, as a run without ties."""
    falling = sorted(scores, key=scores.__getitem__, reverse=True)
    tied = [list(group) for _, group in groupby(falling, key=scores.__getitem__)]
    for parts in product(*map(permutations, tied)):
        docs = [doc for part in parts for doc in part]
        yield {doc: float(len(docs) - place) for place, doc in enumerate(docs)}


def random_list(dice):
    docs = [f"d{number}" for number in range(dice.randint(1, 6))]
    levels = dice.choice([[1.0], [1.0, 2.0], [0.5, 1.0, 2.0]])
    scores = {doc: dice.choice(levels) for doc in docs}
    grades = {doc: dice.choice([-1, 0, 0, 1, 2, 3]) for doc in dice.sample(docs, len(docs) - 1)}
    return {"q": {**grades, "lost": dice.choice([0, 1, 3]), "bad": 0}}, {"q": scores}


@pytest.mark.parametrize("seed", range(20))
def test_expected_worst_and_best_are_the_mean_and_the_ends_over_every_order(seed):
    qrels, run = random_list(random.Random(seed))
    every = {str(number): order for number, order in enumerate(orders(run["q"]))}
    scores = evaluate(dict.fromkeys(every, qrels["q"]), every, MEASURES)
    for name, span in tie_spans(qrels, run, MEASURES).items():
        values = scores.per_query[name].values()
        assert span.expected == pytest.approx(fmean(values), abs=1e-12), name
        ends = [min(values), max(values)]
        if name == "last_rel":  # less is better
            ends.reverse()
        assert [span.worst, span.best] == pytest.approx(ends, abs=1e-12), name


def long_list(dice):
    """40 queries of 60 documents with four scores, as a model gives that grades from 0 to 3."""
    qrels, run = {}, {}
    for number in range(40):
        docs = [f"d{place}" for place in range(60)]
        run[f"q{number}"] = {doc: float(dice.choice([0, 0, 1, 2, 3])) for doc in docs}
        qrels[f"q{number}"] = {
            doc: dice.choice([0, 0, 0, 1, 2, 3]) for doc in dice.sample(docs, 25)
        }
    return qrels, run


def test_expected_values_are_those_of_many_random_orders_of_long_lists():
    dice = random.Random(7)
    qrels, run = long_list(dice)
    names = ["ndcg@10", "map", "mrr@10", "recall@20", "precision@10", "err@20", "bpref", "rbp.8"]
    drawn = []
    for _ in range(40):
        mixed = {q: dict(dice.sample(list(docs.items()), 60)) for q, docs in run.items()}
        drawn.append(evaluate(qrels, mixed, names, "file").mean)
    for name, span in tie_spans(qrels, run, names).items():
        values = [mean[name] for mean in drawn]
        error = stdev(values) / len(values) ** 0.5
        assert error > 0 and abs(fmean(values) - span.expected) < 4.5 * error, name
        assert span.worst <= min(values) and max(values) <= span.best


def test_without_ties_nothing_is_open():
    qrels, run = long_list(random.Random(1))
    plain = {q: {doc: float(i) for i, doc in enumerate(docs)} for q, docs in run.items()}
    mean = evaluate(qrels, plain, ["ndcg@10", "map", "err"]).mean
    assert tie_spans(qrels, plain, list(mean)) == {
        name: TieSpan(value, value, value) for name, value in mean.items()
    }


def test_a_scorer_that_gives_every_document_the_same_score_learns_nothing_from_ids():
    """The canary: ids that start with the label once gave a constant scorer an MRR of 1."""
    qrels = {f"q{n}": {"positive": 1, **{f"negative{i}": 0 for i in range(9)}} for n in range(5)}
    run = {query: dict.fromkeys(docs, 1.0) for query, docs in qrels.items()}
    assert evaluate(qrels, run, ["mrr"]).mean["mrr"] == 1.0
    expected = fsum(1 / rank for rank in range(1, 11)) / 10
    span = tie_spans(qrels, run, ["mrr"])["mrr"]
    assert span.expected == pytest.approx(expected) and (span.worst, span.best) == (0.1, 1.0)
    assert span.width == pytest.approx(0.9)


def test_a_thousand_equal_scores_have_an_expected_value_still():
    qrels = {"q": {f"d{i}": 1 for i in range(0, 1000, 3)} | {"d1": 0}}
    run = {"q": {f"d{i}": 0.5 for i in range(1000)}}
    span = tie_spans(qrels, run, ["precision@10", "mrr", "err", "map", "bpref"])
    assert span["precision@10"].expected == pytest.approx(0.334)
    assert 0 < span["map"].worst < span["map"].expected < span["map"].best == 1.0
    assert 0.5 < span["mrr"].expected < 0.6 and 0 < span["err"].expected < 0.1


def test_only_ties_as_32_bit_floats_are_left_open():
    qrels, run = {"q": {"b": 1}}, {"q": {"a": 1.0, "b": 1.0 + 1e-9}}
    assert evaluate(qrels, run, ["mrr"], "file").mean["mrr"] == 1.0
    assert tie_spans(qrels, run, ["mrr"])["mrr"] == (0.75, 0.5, 1.0)


def test_a_file_keeps_its_order_where_scores_are_equal():
    qrels = {"q": {"a": 1, "c": 1}}
    run = {"q": {"c": 1.0, "b": 1.0, "a": 1.0, "x": 2.0}}
    assert evaluate(qrels, run, ["map"], "file").mean["map"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert evaluate(qrels, run, ["map"], "ids").mean["map"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert evaluate(qrels, run, ["mrr@2"], "file").mean["mrr@2"] == 0.5


def test_eval_says_what_ties_leave_open_where_the_two_rules_agree(tmp_path):
    (tmp_path / "qrels").write_text("q 0 b 1\n")
    (tmp_path / "run").write_text("q Q0 c 1 1 t\nq Q0 b 2 1 t\nq Q0 a 3 1 t\n")
    [(_, scores, notes)] = score_files([tmp_path / "run"], tmp_path / "qrels", ["mrr"])
    assert scores.mean == {"mrr": 0.5}
    assert notes == [
        "2 tied scores: mrr is 0.5000 in the order of the file, 0.5000 by document id (trec_eval),"
        " 0.6111 expected, 0.3333 to 1.0000 possible; see --ties"
    ]


def test_repllama_has_the_open_ties_of_the_shared_runs():
    folder = collection("dl19")
    qrels = read_qrels(folder / "qrels" / "test.tsv")
    run = read_run(folder / "runs" / "repllama.trec.gz")
    span = tie_spans(qrels, run, ["ndcg@10"])["ndcg@10"]
    assert [round(value, 4) for value in span] == [0.7419, 0.734, 0.7505]
