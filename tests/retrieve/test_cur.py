"""Searching with a judge: exact where ratings are mixtures, no dip, nothing paid twice or lost."""

import numpy as np
import pytest

from rerank.errors import UsageError
from rerank.questions import Rate
from rerank.retrieve.cur import RIDGES, Anchors, with_ridge

DOCS = [f"d{n}" for n in range(400)]


def ratings(queries, rank=12, noise=0.0, seed=0):
    """Ratings that are mixtures of `rank` tastes, and some noise."""
    draw = np.random.default_rng(seed)
    tastes = np.random.default_rng(99).normal(size=(rank, len(DOCS)))
    return draw.normal(size=(queries, rank)) @ tastes + noise * draw.normal(
        size=(queries, len(DOCS))
    )


def judged(asking, truth):
    """What a search returns, and which documents were rated, when the truth answers."""
    asked = []
    try:
        questions = next(asking)
        while True:
            assert all(isinstance(question, Rate) for question in questions)
            docs = [question.doc for question in questions]
            asked += docs
            questions = asking.send([truth[int(doc[1:])] for doc in docs])
    except StopIteration as done:
        return done.value, asked


def recall(ranked, truth, k=10):
    return len(set(ranked[:k]) & {DOCS[n] for n in np.argsort(-truth)[:k]}) / k


def mean_recall(anchors, count, budget, rounds=1, seed=7, noise=0.0):
    found = []
    for truth in ratings(12, noise=noise, seed=seed):
        start = np.random.default_rng(seed).permutation(len(DOCS)).tolist()
        ranked, _ = judged(anchors.search(DOCS, start, count, budget, rounds), truth)
        found.append(recall(ranked, truth))
    return np.mean(found)


def test_a_mixture_of_the_anchors_is_predicted_exactly():
    [truth] = ratings(1, seed=3)
    places = list(range(0, 400, 10))
    predicted = Anchors(ratings(60), ridge=1e-9).predicted(places, truth[places])
    assert np.ptp(predicted - truth) < 1e-3


def test_few_ratings_find_what_all_of_them_would():
    assert mean_recall(with_ridge(ratings(60), 30), 30, 50) == 1.0


@pytest.mark.parametrize("rounds", [1, 5])
def test_every_document_is_ranked_once_and_the_budget_is_kept(rounds):
    [truth] = ratings(1, seed=3)
    ranked, asked = judged(Anchors(ratings(60)).search(DOCS, [5, 3], 20, 50, rounds), truth)
    assert sorted(ranked) == sorted(DOCS)
    assert len(asked) == len(set(asked)) == 50
    assert asked[:2] == ["d5", "d3"]
    assert ranked[:50] == sorted(asked, key=lambda doc: -truth[int(doc[1:])])


def test_there_is_no_dip_where_anchors_and_anchor_queries_are_equally_many():
    anchors = Anchors(ratings(60, noise=0.5))
    found = {count: mean_recall(anchors, count, count + 30, noise=0.5) for count in (30, 60, 120)}
    assert found[30] <= found[60] + 0.05 and found[60] >= 0.8
    inverse = Anchors(ratings(60, noise=0.5), ridge=1e-15)
    assert mean_recall(inverse, 60, 90, noise=0.5) < found[60] - 0.2


def test_several_rounds_find_more_than_one_when_little_may_be_asked():
    anchors = Anchors(ratings(60, noise=0.3))
    assert mean_recall(anchors, 20, 24, 5, noise=0.3) > mean_recall(anchors, 20, 24, noise=0.3)


def test_the_ridge_grows_with_the_noise():
    clean, noisy = (with_ridge(ratings(60, noise=noise), 40).ridge for noise in (0.0, 4.0))
    assert clean == RIDGES[0] < noisy


def test_the_same_seed_is_the_same_search():
    [truth] = ratings(1, seed=3, noise=1)
    one, two = (
        judged(with_ridge(ratings(60), 30, seed=5).search(DOCS, [], 30, 50, 3), truth)
        for _ in range(2)
    )
    assert one == two


def test_what_a_first_stage_scores_helps_as_much_as_it_is_right():
    """Beside the anchor queries: nothing of a query's own part is in their ratings."""
    anchors, draw = Anchors(ratings(60)), np.random.default_rng(5)
    found = {"alone": [], "beside": [], "beside chance": []}
    for truth in ratings(20, seed=9):
        own = 4 * draw.normal(size=len(DOCS))
        judge, scores = truth + own, own + 0.5 * draw.normal(size=len(DOCS))
        start = np.argsort(-scores).tolist()
        rows = {"alone": (), "beside": (scores,), "beside chance": (draw.normal(size=len(DOCS)),)}
        for name, beside in rows.items():
            ranked, _ = judged(anchors.search(DOCS, start, 25, 50, 5, beside), judge)
            found[name].append(recall(ranked, judge))
    mean = {name: np.mean(values) for name, values in found.items()}
    assert mean["beside"] > mean["alone"] + 0.1
    assert mean["beside chance"] > mean["alone"] - 0.15


@pytest.mark.parametrize("rounds", [1, 5])
def test_two_seeds_find_as_much(rounds):
    """Which documents are rated first is chance; over queries it makes little difference."""
    anchors = Anchors(ratings(60, noise=0.3))
    truths = ratings(40, noise=0.3, seed=11)
    found = []
    for seed in (0, 1):
        start = np.random.default_rng(seed).permutation(len(DOCS)).tolist()
        lists = [judged(anchors.search(DOCS, start, 30, 60, rounds), truth)[0] for truth in truths]
        pairs = zip(lists, truths, strict=True)
        found.append(np.array([recall(ranked, truth) for ranked, truth in pairs]))
    gain = found[0] - found[1]
    assert abs(gain.mean()) < 2 * gain.std(ddof=1) / len(gain) ** 0.5 + 0.01
    assert min(found[0].mean(), found[1].mean()) > 0.8


def test_ratings_that_could_not_be_read_explain_nothing_and_come_last():
    [truth] = ratings(1, seed=3)
    truth[[5, 3]] = -np.inf
    ranked, _ = judged(Anchors(ratings(60)).search(DOCS, [5, 3], 30, 60), truth)
    assert ranked[58:60] == ["d5", "d3"]
    truth[:] = -np.inf
    ranked, _ = judged(Anchors(ratings(60)).search(DOCS, [5, 3], 30, 60), truth)
    assert ranked[:3] == ["d5", "d3", "d0"]


def test_a_corpus_smaller_than_the_budget_is_rated_whole():
    ranked, asked = judged(Anchors(np.ones((3, 4))).search(DOCS[:4], [], 4, 9), np.arange(4.0))
    assert (ranked, sorted(asked)) == (["d3", "d2", "d1", "d0"], DOCS[:4])


@pytest.mark.parametrize(("anchors", "budget", "rounds"), [(5, 4, 1), (5, 9, 6), (5, 9, 0)])
def test_numbers_that_do_not_fit_each_other_are_refused(anchors, budget, rounds):
    with pytest.raises(UsageError, match="each must hold"):
        next(Anchors(np.ones((3, 4))).search(DOCS[:4], [], anchors, budget, rounds))
