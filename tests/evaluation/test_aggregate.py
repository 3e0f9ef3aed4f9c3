"""One order from many: exact by brute force, neutral where runs are equal, sure of what is sure."""

import random
from itertools import combinations, permutations

import numpy as np
import pytest
from shared import collection

from rerank.errors import InputError
from rerank.evaluate.aggregate import aggregate
from rerank.evaluate.rankings import disagreements, is_only, kemeny, shared_ranks
from rerank.evaluate.solvers import cheapest_order
from rerank.scoring import score_files

WAYS = ["mean", "borda-one-level", "borda-two-level", "kemeny-one-level", "kemeny-two-level"]


def counted(worth, order):
    """Pairs of each row that an order has the other way round, and half of the equal ones."""
    return sum(
        1.0 if row[below] > row[above] else 0.5 if row[below] == row[above] else 0.0
        for row in worth
        for above, below in combinations(order, 2)
    )


def voters(seed):
    """Few values, so that many are equal, and few rows, so that they often go round in circles."""
    random_ = np.random.default_rng(seed)
    return random_.integers(0, random_.choice([2, 4, 9]), (random_.integers(1, 8), 2 + seed % 6))


def every_order(worth):
    """What each order costs, from what its pairs do."""
    number = worth.shape[1]
    pair = np.zeros((number, number))
    for above, below in permutations(range(number), 2):
        pair[above, below] = counted(worth, (above, below))
    orders = np.array(list(permutations(range(number))))
    cost = sum(pair[orders[:, i], orders[:, j]] for i, j in combinations(range(number), 2))
    return dict(zip(map(tuple, orders.tolist()), cost.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(48))
def test_kemenys_order_is_the_best_of_all_orders_and_the_next_the_best_of_the_others(seed):
    worth = voters(seed)
    cost = every_order(worth)
    costs = disagreements(worth, np.ones(len(worth)))
    found = kemeny(costs)
    assert found.proven and found.disagreement == min(cost.values()) == cost.pop(found.places)
    other = cheapest_order(costs, other_than=found.places)
    assert other.proven and other.cost == min(cost.values()) == cost[other.places]
    assert is_only(found, costs) == (other.cost > found.disagreement)


def test_a_cycle_of_three_has_three_best_orders_and_says_that_there_are_others():
    worth = np.array([[3, 2, 1], [1, 3, 2], [2, 1, 3]])
    costs = disagreements(worth, np.ones(3))
    found = kemeny(costs)
    assert (found.disagreement, found.proven, is_only(found, costs)) == (4.0, True, False)


def test_without_time_an_order_is_not_called_proven():
    worth = np.random.default_rng(0).random((9, 25))
    costs = disagreements(worth, np.ones(9))
    hasty, best = kemeny(costs, seconds=0.0), kemeny(costs)
    assert (hasty.proven, best.proven) == (False, True) and not is_only(hasty, costs)
    assert hasty.disagreement == counted(worth, hasty.places) > best.disagreement
    assert sorted(hasty.places) == list(range(25))


def test_ranks_are_shared_where_worth_is_equal():
    assert shared_ranks(np.array([0.5, 0.9, 0.5, 0.1])).tolist() == [2.5, 1.0, 2.5, 4.0]
    assert shared_ranks(np.array([0.1 + 0.2, 0.3])).tolist() == [1.5, 1.5]
    assert shared_ranks(np.array([[1, 2], [5, 5]])).tolist() == [[2, 1], [1.5, 1.5]]


def by_run(values, names="abcdefgh"):
    """Values [query, run] by run and query."""
    return {
        names[column]: {f"q{row}": float(value) for row, value in enumerate(values[:, column])}
        for column in range(values.shape[1])
    }


def quickly(per_query, **options):
    return aggregate(per_query, **({"samples": 200, "kemeny_samples": 5} | options))


def test_levels_differ_where_a_large_dataset_outvotes_two_small_ones():
    large, small = np.tile([0.2, 0.1], (10, 1)), np.tile([0.1, 0.9], (2, 1))
    found = quickly({"large": by_run(large), "small": by_run(small), "tiny": by_run(small)})
    best = {way: min(ranks, key=lambda run: ranks[run].rank) for way, ranks in found.ranks.items()}
    assert list(found.ranks) == WAYS
    assert best == dict(zip(WAYS, "babab", strict=True))
    assert found.optima["kemeny-one-level"] == (4.0, True, True)
    assert found.optima["kemeny-two-level"] == (1.0, True, True)
    assert found.means == pytest.approx({"a": 0.4 / 3, "b": 1.9 / 3})


def test_six_runs_that_are_equal_share_every_rank_whatever_they_are_called():
    """Published code ranks by position and puts the last listed first in 99.5 % of such cases."""
    values = np.tile(np.random.default_rng(1).choice([0.0, 0.5, 1.0], (50, 1)), (1, 6))
    found = quickly({"one": by_run(values), "two": by_run(values[:20])})
    assert {rank for ranks in found.ranks.values() for rank in ranks.values()} == {(3.5, 3.5, 3.5)}
    assert not found.optima["kemeny-one-level"].unique


def test_of_exchangeable_runs_with_many_ties_none_is_favoured_by_its_name():
    firsts = dict.fromkeys("abcdef", 0)
    for seed in range(30):
        values = np.random.default_rng(seed).choice([0.0, 0.0, 0.0, 0.5, 1.0], (30, 6))
        ranks = quickly({"d": by_run(values)}, samples=1, kemeny_samples=1).ranks
        for run in "abcdef":
            firsts[run] += ranks["borda-one-level"][run].rank < 2
    assert min(firsts.values()) >= 1 and max(firsts.values()) <= 12


def test_a_run_that_lacks_a_dataset_is_left_out_and_named_and_changes_nothing():
    values = np.random.default_rng(0).random((20, 4))
    whole = {"one": by_run(values[:, :3]), "two": by_run(values[10:, :3])}
    partial = {"one": by_run(values), "two": whole["two"], "three": whole["one"]}
    found, without = quickly(partial), quickly(partial | {"one": whole["one"]})
    assert found.incomplete == {"d": ("three", "two")} and without.incomplete == {}
    assert found.ranks == without.ranks and found.means == without.means
    assert all(set(ranks) == {"a", "b", "c"} for ranks in found.ranks.values())
    with pytest.raises(InputError, match="no run has values for all datasets: one, two"):
        quickly({"one": by_run(values[:, :1]), "two": by_run(values[:, :1], "z")})


def test_an_aggregate_is_the_same_to_the_digit_each_time_and_in_any_order():
    random_ = np.random.default_rng(4)
    runs = {name: by_run(random_.choice([0, 0.3, 0.7, 1], (15, 5))) for name in ("x", "y", "z")}
    expected, dice = quickly(runs), random.Random(2)
    for _ in range(3):
        mixed = {
            dataset: {
                run: dict(dice.sample([*by.items()], 15))
                for run, by in dice.sample([*of.items()], 5)
            }
            for dataset, of in dice.sample([*runs.items()], 3)
        }
        assert quickly(mixed) == expected
    assert quickly(runs, seed=1).ranks != expected.ranks


def test_intervals_are_narrow_where_runs_are_far_apart_and_wide_where_they_are_not():
    random_ = np.random.default_rng(5)
    far = random_.normal([0.9, 0.5, 0.1], 0.05, (40, 3))
    near = random_.normal([0.5, 0.5, 0.5], 0.2, (40, 3))
    for rank in quickly({"d": by_run(far)}).ranks.values():
        assert [tuple(rank[run]) for run in "abc"] == [(n, n, n) for n in (1, 2, 3)]
    wide = quickly({"d": by_run(near)}, kemeny_samples=50).ranks
    for way in WAYS:
        assert all(r.low <= r.rank <= r.high for r in wide[way].values())
        assert max(r.high - r.low for r in wide[way].values()) >= 1


def test_one_run_is_first():
    found = quickly({"d": by_run(np.array([[0.5], [0.7]]))})
    assert {ranks["a"] for ranks in found.ranks.values()} == {(1.0, 1.0, 1.0)}
    assert found.optima["kemeny-two-level"] == (0.0, True, True)


@pytest.mark.slow
def test_kemenys_order_of_25_runs_of_dl19_is_proven():
    folder = collection("dl19")
    paths = sorted((folder / "runs").glob("*.trec.gz"))
    scored = score_files(paths, folder / "qrels" / "test.tsv", ["ndcg@10"])
    runs = {p.name.removesuffix(".trec.gz"): s.per_query["ndcg@10"] for p, s, _ in scored}
    worth = np.array([[runs[run][query] for run in runs] for query in runs["bm25"]])
    assert worth.shape == (43, 25)
    found = kemeny(disagreements(worth, np.ones(43)))
    assert found.proven
    assert found.disagreement == counted(worth, found.places) == 4560.5
    by_mean = sorted(range(25), key=lambda run: -worth[:, run].mean())
    assert found.disagreement < counted(worth, by_mean)
    ranks = quickly({"dl19": runs}).ranks
    assert ranks["kemeny-one-level"] == ranks["kemeny-two-level"]
    assert ranks["mean"]["bm25"].rank == ranks["borda-one-level"]["bm25"].rank == 25
