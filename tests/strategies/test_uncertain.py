"""AcuRank: certain documents are left alone, and a budget is never overrun."""

from math import ceil

import pytest
from play import (
    EVERY_COUNT,
    JUDGES,
    best,
    by_value,
    documents,
    noisy,
    play,
    questions,
    rehearse,
    worth,
)

from rerank.strategies.uncertain import belonging, order_uncertain, priors

SOME = [*range(26), 39, 40, 41, 57, 95, 100, 137, 150]


def check(judge, counts, **options):
    most = options.get("max_calls", 20)
    for count in counts:
        docs = documents(count)
        ranking, batches = play(order_uncertain(docs, **options), JUDGES[judge](count))
        assert sorted(ranking) == docs
        if count <= 20:
            assert questions(batches) == (count > 1)
        else:
            assert min(most, ceil(count / 20) + 1) <= questions(batches) <= most
        assert len(batches) <= questions(batches)


@pytest.mark.parametrize("judge", JUDGES)
def test_any_judge_and_count_give_a_permutation_at_the_predicted_cost(judge):
    check(judge, SOME)


@pytest.mark.parametrize("max_calls", [1, 2, 5, 7])
@pytest.mark.parametrize("judge", ["noisy", "always last"])
def test_a_budget_is_kept(judge, max_calls):
    check(judge, [10, 21, 60, 150], max_calls=max_calls)


def test_every_window_of_the_first_round_goes_out_together():
    docs = documents(90)
    first = play(order_uncertain(docs), by_value(worth))[1][0]
    assert [list(question.docs) for question in first] == [
        docs[i : i + 20] for i in range(0, 90, 20)
    ]


def test_what_is_certain_is_not_asked_again():
    _, batches = play(order_uncertain(documents(100)), by_value(worth))
    shown = [sum(len(question.docs) for question in batch) for batch in batches]
    assert shown[0] == 100 and all(n < 60 for n in shown[1:]) and shown[-2] < shown[1]
    assert shown[-1] <= 20


def test_the_last_call_of_a_budget_orders_the_top():
    """Five calls see every document; the sixth is for those that may be the best."""
    docs = documents(100, 0)
    _, batches = play(order_uncertain(docs, max_calls=6), by_value(worth))
    assert [len(batch) for batch in batches] == [5, 1]
    tops = {max(docs[i : i + 20], key=worth) for i in range(0, 100, 20)}
    assert tops <= {*batches[1][0].docs}


def test_priors_fall_with_the_rank_and_are_gaussians_for_any_count():
    for count in EVERY_COUNT:
        means = [skill.mean for skill in priors(count)]
        assert means == sorted(means, reverse=True) and len(set(means)) == count
        assert sum(means) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("k", [1, 5, 10, 50])
def test_chances_to_belong_add_up_to_as_many_as_are_wanted(k):
    chances = belonging(priors(100), k)
    assert sum(chances) == pytest.approx(k, abs=1e-6)
    assert chances == sorted(chances, reverse=True)


def test_all_belong_where_there_are_no_more_than_are_wanted():
    assert min(belonging(priors(8), 10)) > 0.999


@pytest.mark.slow
@pytest.mark.parametrize(("correlation", "floor"), [(0, 0.95), (0.5, 0.99), (0.8, 0.99)])
def test_recall_of_the_top_ten(correlation, floor):
    played = rehearse(order_uncertain, correlation)
    assert played.recall >= floor
    assert 7 <= played.calls <= 20  # algorithms.md section 8.9


def test_asking_again_helps_with_a_noisy_judge():
    def found(max_calls):
        kept = 0
        for seed in range(15):
            docs = documents(60, seed=seed)
            ranking, _ = play(
                order_uncertain(docs, max_calls=max_calls), noisy(worth, seed, scale=0.7)
            )
            kept += len({*ranking[:10]} & {*best(docs)})
        return kept

    assert found(15) > found(4)
