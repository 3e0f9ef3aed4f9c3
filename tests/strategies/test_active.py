"""Active windows: few calls, fewer where less is at stake, and nothing moved by no answer."""

import random
from functools import partial
from statistics import fmean

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
    rehearse,
    slots,
    worth,
)

from rerank.questions import Order, undecided
from rerank.strategies.active import active


def calls(count, judge, **options):
    return questions(play(active(documents(count), **options), judge)[1])


@pytest.mark.slow
@pytest.mark.parametrize("judge", JUDGES)
def test_whoever_judges_nothing_is_lost_and_the_calls_are_few(judge):
    """As many as there may be where every answer contradicts the one before."""
    for count in EVERY_COUNT:
        docs = documents(count)
        ranking, batches = play(active(docs), JUDGES[judge](count))
        assert sorted(ranking) == docs
        assert questions(batches) <= (20 if judge == "always last" else 2 + count / 7)


def test_a_window_that_holds_all_is_ordered_once_and_believed():
    for count in range(2, 21):
        docs = documents(count)
        ranking, batches = play(active(docs), by_value(worth))
        assert (ranking, batches) == (best(docs, count), [[Order(tuple(docs))]])


def test_nothing_and_one_document_ask_nothing():
    assert play(active([]), always_first) == ([], [])
    assert play(active(["a"]), always_first) == (["a"], [])


def test_the_first_window_is_the_first_stages_best_in_its_order():
    """Of those near the line below the top, too: the last ones are not at stake."""
    docs = documents(100)
    [first] = next(active(docs))
    assert list(first.docs) == sorted(first.docs)
    assert set(docs[:10]) < set(first.docs)
    assert len(first.docs) == 20


def test_a_window_is_never_wider_than_it_may_be():
    for window in (2, 3, 7, 20):
        _, batches = play(active(documents(60), window=window), noisy(worth))
        assert max(len(question.docs) for batch in batches for question in batch) == window


@pytest.mark.parametrize("answer", [always_first, undecided])
def test_an_order_as_it_was_shown_moves_nothing(answer):
    for count in (21, 50, 100, 150):
        docs = documents(count)
        assert play(active(docs), answer)[0] == docs


def test_the_last_of_a_good_first_stage_is_asked_about_only_where_more_is_wanted():
    docs = documents(60, correlation=1)
    judge = by_value(lambda doc: 100 if doc == docs[-1] else worth(doc))
    assert play(active(docs), judge)[0][-1] == docs[-1]
    assert play(active(docs, gain=0.003), judge)[0][0] == docs[-1]


@pytest.mark.parametrize(
    ("correlation", "found", "most"), [(0, 0.55, 5.5), (0.5, 0.85, 5.2), (0.8, 0.95, 4.8)]
)
def test_how_many_of_the_best_ten_a_perfect_judge_finds(correlation, found, most):
    """Fewer calls the better the first stage is, and 9 are what it takes to be sure."""
    played = rehearse(active, correlation, lists=50)
    assert played.recall >= found
    assert played.calls <= most


def test_more_gain_asked_for_is_fewer_calls_and_less_found():
    found = [rehearse(partial(active, gain=gain), lists=30) for gain in (0.1, 0.03, 0.01)]
    assert [one.calls for one in found] == sorted(one.calls for one in found)
    assert [one.recall for one in found] == sorted(one.recall for one in found)
    assert found[0].calls < 3 < found[1].calls < 6 < found[2].calls


def test_the_best_alone_takes_fewer_calls_than_the_best_ten():
    means = [
        fmean(
            questions(play(active(documents(100, seed=s), k=k), noisy(worth, s))[1])
            for s in range(20)
        )
        for k in (1, 10)
    ]
    assert means[0] < means[1] - 1


def test_twice_asked_is_worth_more_than_once_where_the_judge_is_noisy():
    """Beside a sliding window of the same judge: the best ten at three fifths of the slots."""
    from rerank.strategies.listwise import sliding_window

    def found(strategy, seed):
        docs = documents(100, 0.5, seed)
        ranking, batches = play(strategy(docs), noisy(worth, seed, scale=0.7))
        return len({*ranking[:10]} & {*best(docs)}), slots(batches)

    ours, theirs = (
        [sum(x) for x in zip(*(found(strategy, seed) for seed in range(60)), strict=True)]
        for strategy in (active, sliding_window)
    )
    assert ours[0] >= theirs[0]
    assert ours[1] <= 0.6 * theirs[1]


def test_equal_documents_stay_two():
    chance = random.Random(0)
    docs = [chance.randint(0, 3) for _ in range(70)]
    assert sorted(play(active(docs), by_value(float))[0]) == sorted(docs)


@pytest.mark.parametrize("options", [{"window": 1}, {"window": 0}, {"gain": 0.0}, {"gain": -1.0}])
def test_a_window_of_one_and_no_gain_are_refused(options):
    with pytest.raises(ValueError, match="window must be 2 or more and gain above 0"):
        next(active(documents(30), **options))
