"""Many rankings into one, checked by hand and against the matrix that page rank never builds."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank.strategies.votes import (
    AGGREGATES,
    borda,
    elect,
    page_rank,
    reciprocal_rank,
    win_rate,
)

ballots = st.lists(st.lists(st.integers(0, 6), unique=True, max_size=7), max_size=6)


def test_borda_gives_a_point_for_each_that_comes_later():
    assert borda([[2, 0, 1], [0, 2]], 4) == [2, 0, 2, 0]


def test_reciprocal_ranks_start_at_one_over_sixty_one():
    assert reciprocal_rank([[1, 0], [1]], 3) == [1 / 62, 2 / 61, 0]


def test_a_win_rate_is_a_mean_over_opponents_not_over_games():
    """0 beat 1 in two of three games, and 2 in its only one."""
    rates = win_rate([[0, 1], [0, 1], [1, 0], [0, 2]], 4)
    assert rates == pytest.approx([(2 / 3 + 1) / 2, 1 / 3, 0, 0])


@given(ballots)
def test_page_rank_is_where_a_walk_over_all_pairs_settles(given_ballots):
    count = 7
    pairs = [(b[j], b[i]) for b in given_ballots for j in range(len(b)) for i in range(j)]
    losses = [sum(loser == place for loser, _ in pairs) for place in range(count)]
    ranks = page_rank(given_ballots, count)
    assert sum(ranks) == pytest.approx(count)
    for place in range(count):
        walked = sum(ranks[loser] / losses[loser] for loser, winner in pairs if winner == place)
        idle = sum(rank for rank, lost in zip(ranks, losses, strict=True) if not lost) / count
        assert ranks[place] == pytest.approx(0.15 + 0.85 * (walked + idle), abs=1e-6)


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_ballots_that_agree_are_the_ranking(aggregate):
    assert elect([[3, 1, 0, 2]] * 3, 4, aggregate) == [3, 1, 0, 2]


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_a_tie_keeps_the_old_order(aggregate):
    assert elect(list(permutations(range(4))), 4, aggregate) == [0, 1, 2, 3]
    assert elect([], 3, aggregate) == [0, 1, 2]
    assert elect([], 0, aggregate) == []


@pytest.mark.parametrize("aggregate", AGGREGATES)
@given(ballots)
def test_every_place_is_elected_once(aggregate, given_ballots):
    assert sorted(elect(given_ballots, 7, aggregate)) == list(range(7))
