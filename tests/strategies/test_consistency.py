"""Permutation self-consistency wraps any strategy that asks for orders."""

import random

import pytest
from play import (
    EVERY_COUNT,
    JUDGES,
    always_first,
    best,
    by_value,
    documents,
    noisy,
    play,
    questions,
    slots,
    worth,
)

from rerank.questions import AsShown, Compare, Order, Rate
from rerank.strategies import STRATEGIES
from rerank.strategies.consistency import consistent, self_consistent
from rerank.strategies.listwise import sliding_window
from rerank.strategies.pairwise import prp_heapsort
from rerank.strategies.votes import AGGREGATES


@pytest.mark.parametrize("judge", JUDGES)
def test_any_judge_and_count_give_a_permutation_at_times_the_cost(judge):
    for count in EVERY_COUNT:
        docs = documents(count)
        ranking, batches = play(self_consistent(docs, times=3), JUDGES[judge](count))
        _, alone = play(sliding_window(docs), JUDGES[judge](count))
        assert sorted(ranking) == docs
        if count > 1:
            assert questions(batches) == 3 * questions(alone)
            assert slots(batches) == 3 * slots(alone)
            assert len(batches) == len(alone)


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_copies_that_agree_are_the_answer(aggregate):
    for count in (1, 2, 20, 45):
        docs = documents(count)
        ranking, _ = play(self_consistent(docs, aggregate=aggregate), by_value(worth))
        assert ranking == play(sliding_window(docs), by_value(worth))[0]


def test_once_is_the_strategy_as_it_was():
    docs = documents(60)
    assert play(self_consistent(docs, times=1), always_first) == play(
        sliding_window(docs), always_first
    )


def test_copies_are_shuffles_of_the_order_given_and_a_seed_repeats_them():
    docs = documents(20)

    def asked(seed):
        [batch] = play(self_consistent(docs, seed=seed), by_value(worth))[1]
        return batch

    assert asked(0) == asked(0) != asked(1)
    assert asked(0)[0] == Order(tuple(docs))
    assert len(set(asked(0))) == 5
    assert all(sorted(question.docs) == docs for question in asked(0))


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "self-consistency"])
def test_every_strategy_can_be_wrapped_and_stays_a_permutation(name):
    for count in (0, 1, 2, 19, 37):
        docs = documents(count)
        strategy = self_consistent(docs, strategy=name, times=2)
        assert sorted(play(strategy, noisy(worth, count))[0]) == docs


def test_a_strategy_that_compares_or_rates_is_left_alone():
    docs = documents(30)
    strategy = self_consistent(docs, strategy="prp-heapsort", options={"k": 3})
    assert play(strategy, by_value(worth)) == play(prp_heapsort(docs, k=3), by_value(worth))


def test_only_the_orders_of_a_batch_are_asked_again():
    def mixed():
        return (yield [Rate("a"), Order(("a", "b")), Compare("b", "a")])

    asking = consistent(mixed(), 3, "borda", random.Random(0))
    answers, [batch] = play(asking, by_value(ord))
    assert answers == [97, ["b", "a"], 1]
    assert [type(question) for question in batch] == [Rate, Order, Order, Order, Compare]


def test_a_vote_is_steadier_than_a_single_answer():
    def found(times):
        kept = 0
        for seed in range(40):
            docs = documents(20, seed=seed)
            ranking, _ = play(self_consistent(docs, times=times), noisy(worth, seed))
            kept += len({*ranking[:10]} & {*best(docs)})
        return kept

    assert found(7) > found(1) * 1.1


def test_a_position_bias_is_voted_down():
    """A judge with a bonus for the first half of what it reads, and none against worth."""

    def biased(question):
        docs = question.docs
        half = {*docs[: len(docs) // 2]}
        return sorted(docs, key=lambda doc: worth(doc) + (doc in half), reverse=True)

    def found(times):
        runs = [
            (play(self_consistent(docs, times=times), biased)[0][:5], best(docs, 5))
            for docs in (documents(20, 0, seed) for seed in range(40))
        ]
        return sum(len({*ranking} & {*top}) for ranking, top in runs)

    assert found(9) > found(1) * 1.1


def test_a_strategy_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no strategy 'nonsense'"):
        play(self_consistent([], strategy="nonsense"), always_first)


@pytest.mark.parametrize(
    "inner", ["sliding-window", "tournament", "joint-blocks", "uncertain", "top-down"]
)
def test_where_nobody_decides_anything_the_first_stages_order_stays(inner):
    docs = list(range(100))
    ranking, _ = play(self_consistent(docs, inner), lambda asked: AsShown(asked.docs))
    assert ranking == docs
