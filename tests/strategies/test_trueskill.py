"""Skills learn from rankings as Bayes would have it."""

import random
from statistics import NormalDist, fmean, stdev

import pytest

from rerank.strategies.trueskill import learn


def test_a_duel_of_equals_moves_both_as_the_paper_says():
    """v(0) = 0.7979 and w(0) = 0.6366, with c^2 = 2 beta^2 + 2 sigma^2 (equations 4 to 7)."""
    winner, loser = learn([NormalDist(25, 25 / 3)] * 2, beta=25 / 6)
    assert (winner.mean, winner.stdev) == pytest.approx((29.2052, 7.1945), abs=1e-3)
    assert (loser.mean, loser.stdev) == pytest.approx((20.7948, 7.1945), abs=1e-3)


def test_one_document_and_none_learn_nothing():
    alone = NormalDist(3, 2)
    assert learn([alone], 0.5) == [alone]
    assert learn([], 0.5) == []


def test_a_ranking_of_four_agrees_with_counting_the_cases():
    """Performances drawn at random; those that fell in this order are what the ranking leaves."""
    chance = random.Random(0)
    priors = [NormalDist(0, 1), NormalDist(0.5, 0.8), NormalDist(-0.3, 1), NormalDist(0.2, 0.5)]
    kept = []
    while len(kept) < 1500:
        skills = [chance.gauss(prior.mean, prior.stdev) for prior in priors]
        shown = [chance.gauss(skill, 0.5) for skill in skills]
        if shown == sorted(shown, reverse=True):
            kept.append(skills)
    for learned, drawn in zip(learn(priors, 0.5), zip(*kept, strict=True), strict=True):
        assert learned.mean == pytest.approx(fmean(drawn), abs=0.08)
        assert learned.stdev == pytest.approx(stdev(drawn), abs=0.08)


def test_equal_skills_come_out_in_order_and_surer_than_they_were():
    learned = learn([NormalDist()] * 20, 0.5)
    means = [skill.mean for skill in learned]
    assert means == sorted(means, reverse=True) and means[0] > 1.5
    assert means[0] == pytest.approx(-means[-1])
    assert all(skill.stdev < 0.8 for skill in learned)


def test_a_few_sweeps_settle_a_window_in_any_order():
    prior = [NormalDist(i / 7, 0.5 + i % 3) for i in range(20)]
    for skills in (prior, prior[::-1]):
        few, many = learn(skills, 0.5), learn(skills, 0.5, sweeps=40)
        assert all(
            a.mean == pytest.approx(b.mean, abs=1e-4) for a, b in zip(few, many, strict=True)
        )


def test_an_upset_beyond_what_floats_can_weigh_still_moves_both():
    low, high = learn([NormalDist(-60, 1), NormalDist(60, 1)], 0.5)
    assert -20 < low.mean < 20 and -20 < high.mean < 20
    assert 0 < low.stdev < 1 and 0 < high.stdev < 1


def test_a_foregone_conclusion_teaches_nothing():
    high, low = learn([NormalDist(60, 1), NormalDist(-60, 1)], 0.5)
    assert (high.mean, low.mean, high.stdev) == pytest.approx((60, -60, 1))
