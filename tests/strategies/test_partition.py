"""Top-down partitioning: the repaired form of algorithms.md section 6.5, for any count."""

from math import ceil

import pytest
from play import (
    EVERY_COUNT,
    JUDGES,
    always_first,
    best,
    by_value,
    documents,
    play,
    questions,
    rehearse,
    slots,
    worth,
)

from rerank.questions import Order
from rerank.strategies.partition import top_down


def one_pass(n, window=20):
    if n <= window:
        return int(n > 1)
    return 1 + ceil((n - window) / (window - 1))


@pytest.mark.parametrize("judge", JUDGES)
def test_any_judge_and_count_give_a_permutation_at_the_predicted_cost(judge):
    for count in EVERY_COUNT:
        docs = documents(count)
        ranking, batches = play(top_down(docs), JUDGES[judge](count))
        calls = one_pass(count)
        assert sorted(ranking) == docs
        assert calls <= questions(batches) <= calls + (count > 20), count
        assert len(batches) <= 3
        assert slots(batches) <= count + max(0, calls - 1) + 20


@pytest.mark.parametrize("options", [
    {"parallel": False}, {"buffer": 40}, {"window": 5, "cutoff": 2, "buffer": 5},
    {"window": 2, "cutoff": 1, "buffer": 1}, {"k": 35}, {"window": 7, "cutoff": 7, "buffer": 9},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("judge", JUDGES)
def test_any_option_gives_a_permutation(judge, options):
    for count in [*range(24), 39, 40, 41, 95, 100, 137]:
        docs = documents(count)
        ranking, _ = play(top_down(docs, **options), JUDGES[judge](count))
        assert sorted(ranking) == docs


@pytest.mark.parametrize("k", [1, 5, 10, 17, 30, 60])
def test_a_buffer_that_holds_all_winners_gives_the_exact_top_k(k):
    for count in [*range(30), 57, 100, 150]:
        docs = documents(count, correlation=0)
        ranking, _ = play(top_down(docs, buffer=150, k=k), by_value(worth))
        assert ranking[:k] == best(docs, k), count


def test_nothing_better_than_the_pivot_ends_the_search():
    """Published code asks once more: 2 calls for 20 documents, 3 for 21."""
    for count, calls in [(20, 1), (21, 2), (39, 2), (40, 3), (100, 6)]:
        assert questions(play(top_down(documents(count)), always_first)[1]) == calls


def test_the_middle_round_asks_every_part_at_once_with_the_pivot_first():
    docs = list(range(100, 0, -1))
    _, batches = play(top_down(docs), by_value(float))
    pivot = docs[9]
    assert [len(batch) for batch in batches] == [1, 5]
    assert batches[1][0] == Order((pivot, *docs[20:39]))
    assert batches[1][-1] == Order((pivot, *docs[96:]))


def test_what_a_later_pass_leaves_goes_above_what_an_earlier_one_left():
    """Published code puts what the first pivot had beaten above what beat the first pivot."""
    for count in range(60, 151, 10):
        docs = documents(count, 0)
        pivot = best(docs[:20])[-1]
        ranking, batches = play(top_down(docs, buffer=150), by_value(worth))
        at = ranking.index(pivot)
        assert len(batches) > 3
        assert all(worth(doc) > worth(pivot) for doc in ranking[:at])
        assert all(worth(doc) < worth(pivot) for doc in ranking[at + 1 :])


def test_a_full_buffer_stops_a_sequential_pass():
    docs = list(range(100))
    _, batches = play(top_down(docs, parallel=False), by_value(float))
    assert [len(batch) for batch in batches] == [1, 1, 1]


def test_a_buffer_keeps_the_best_of_every_part():
    """A list turned round has its best in the last part, which is not read once it is full."""
    docs = list(range(100))
    ranking, _ = play(top_down(docs), by_value(float))
    assert ranking[:4] == [99, 98, 95, 94]
    sequential, _ = play(top_down(docs, parallel=False), by_value(float))
    assert sequential[0] == 38


@pytest.mark.parametrize(
    ("options", "floors"),
    [  # recall at correlation 0, 0.5, 0.8: algorithms.md section 6.5, repaired
        ({"parallel": False}, (0.502, 0.927, 1)),
        ({"parallel": False, "buffer": 40}, (0.902, 1, 1)),
        ({}, (0.85, 0.97, 1)),
        ({"buffer": 40}, (0.995, 1, 1)),
    ],
)
def test_recall_of_the_top_ten_is_no_worse_than_was_measured(options, floors):
    for correlation, floor in zip((0, 0.5, 0.8), floors, strict=True):
        assert rehearse(lambda docs: top_down(docs, **options), correlation).recall >= floor


@pytest.mark.parametrize(("buffer", "calls"), [(20, (3.74, 5.24, 6.83)), (40, (8.97, 8.08, 6.97))])
def test_a_sequential_search_asks_as_often_as_was_measured(buffer, calls):
    for correlation, expected in zip((0, 0.5, 0.8), calls, strict=True):
        played = rehearse(lambda docs: top_down(docs, buffer=buffer, parallel=False), correlation)
        assert played.calls == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("wrong", [{"cutoff": 0}, {"cutoff": 21}, {"buffer": 9}, {"window": 1}])
def test_a_pivot_outside_the_window_or_the_buffer_is_refused(wrong):
    with pytest.raises(ValueError, match="cutoff must be in"):
        play(top_down(documents(5), **{"cutoff": 10, **wrong}), always_first)
