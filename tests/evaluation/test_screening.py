"""Screening measures against CLEF's rules as a loop, and against a list read by hand."""

import math
import random

import pytest

from rerank.errors import UsageError
from rerank.evaluate import evaluate

NAMES = ["last_rel", "wss@95", "wss@100", "recall@10%", "recall@30%"]


def by_reading(grades, ranking, level=1):
    """Read the list from the top and note down when enough has been seen."""
    good = [doc for doc, grade in grades.items() if grade >= level]
    length = max(len(ranking), sum(grade >= 0 for grade in grades.values()))
    seen = {0: 0}
    for rank, doc in enumerate(ranking, 1):
        if doc in good:
            seen[len(seen)] = rank
    at = {k: seen.get(round(len(good) * k / 100)) for k in (95, 100)}
    saved = {
        k: (length - rank) / length - (1 - k / 100) if good and rank is not None else 0.0
        for k, rank in at.items()
    }
    shares = {k: sum(d in good for d in ranking[: math.ceil(length * k / 100)]) for k in (10, 30)}
    return {
        "last_rel": at[100] if at[100] is not None else length,
        "wss@95": saved[95],
        "wss@100": saved[100],
        **{f"recall@{k}%": n / len(good) if good else 0.0 for k, n in shares.items()},
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("level", [1, 2])
def test_screening_measures_are_what_reading_the_list_gives(seed, level):
    dice = random.Random(seed)
    qrels, rankings = {}, {}
    for number in range(200):
        docs = [f"d{i}" for i in range(dice.choice([1, 3, 20, 41, 100]))]
        grades = {doc: dice.choice([-1, 0, 0, 0, 0, 1, 2]) for doc in docs}
        qrels[f"q{number}"] = grades
        if number % 10:  # some lists lack documents, some are not there
            rankings[f"q{number}"] = dice.sample(docs, dice.choice([len(docs), len(docs) * 3 // 4]))
    run = {q: {d: float(-rank) for rank, d in enumerate(docs)} for q, docs in rankings.items()}
    suffix = "-l2" if level == 2 else ""
    scores = evaluate(qrels, run, [name + suffix for name in NAMES])
    for query, grades in qrels.items():
        expected = by_reading(grades, rankings.get(query, []), level)
        for name in NAMES:
            found = scores.per_query[name + suffix][query]
            assert found == pytest.approx(expected[name], abs=1e-12), (query, name)


def test_a_list_of_a_hundred_read_by_hand():
    """20 relevant ones: 19 of them, which is 95 %, in the first 30, the last at 80."""
    good = [*range(1, 19), 30, 80]
    qrels = {"q": {f"d{rank}": int(rank in good) for rank in range(1, 101)}}
    run = {"q": {f"d{rank}": -float(rank) for rank in range(1, 101)}}
    mean = evaluate(qrels, run, [*NAMES, "AP"]).mean
    assert mean["last_rel"] == 80 and mean["wss@100"] == pytest.approx(0.2)
    assert mean["wss@95"] == pytest.approx(0.7 - 0.05)
    assert (mean["recall@10%"], mean["recall@30%"]) == (0.5, 0.95)
    assert mean["map"] == pytest.approx((18 + 19 / 30 + 20 / 80) / 20)


def test_half_a_document_is_rounded_to_the_even_one_as_clef_does():
    """95 % of 10 are 9.5, for which 10 must be found; of 30 28.5, for which 28 are enough."""
    for whole, enough in ((10, 10), (30, 28)):
        qrels = {"q": {f"d{i:02}": 1 for i in range(whole)}}
        run = {"q": {f"d{i:02}": -float(i) for i in range(whole)}}
        wss = evaluate(qrels, run, ["wss@95"]).mean["wss@95"]
        assert wss == pytest.approx((whole - enough) / whole - 0.05)


def test_a_list_that_lacks_a_relevant_document_must_be_read_to_its_end():
    qrels = {"q": {"a": 1, "b": 1, "c": 0, "d": 0}, "absent": {"a": 1, "b": 0, "c": 0}}
    scores = evaluate(qrels, {"q": {"a": 2.0, "c": 1.0}}, ["last_rel", "wss@100", "wss@95"])
    assert scores.per_query["last_rel"] == {"q": 4.0, "absent": 3.0}
    assert scores.mean == {"last_rel": 3.5, "wss@100": 0.0, "wss@95": 0.0}


@pytest.mark.parametrize(
    "name", ["wss", "last_rel@10", "wss@120", "recall@101%", "wss@95-condensed"]
)
def test_screening_measures_that_mean_nothing_are_refused(name):
    with pytest.raises(UsageError, match=f"^{name}: "):
        evaluate({"q": {"a": 1}}, {}, [name])
