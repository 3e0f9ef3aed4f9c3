"""Tournaments for any count; for a hundred documents they are TourRank's."""

import pytest
from play import (
    EVERY_COUNT,
    JUDGES,
    by_value,
    documents,
    identity,
    place,
    play,
    questions,
    rehearse,
    slots,
    worth,
)

from rerank.strategies.tournament import stages, tournament


def cost(n):
    """Calls, slots and rounds of one tournament: every stage shows every document once."""
    calls = shown = rounds = 0
    for keep, groups in stages(n, 20):
        calls, shown, rounds, n = calls + groups, shown + n, rounds + 1, keep
    return calls, shown, rounds


@pytest.mark.parametrize("judge", JUDGES)
def test_any_judge_and_count_give_a_permutation_at_the_predicted_cost(judge):
    for count in EVERY_COUNT:
        docs = documents(count)
        ranking, batches = play(tournament(docs), JUDGES[judge](count))
        assert sorted(ranking) == docs
        assert (questions(batches), slots(batches), len(batches)) == cost(count), count


@pytest.mark.parametrize("tournaments", [1, 2, 10])
def test_a_hundred_documents_cost_thirteen_calls_and_five_rounds_a_tournament(tournaments):
    _, batches = play(tournament(documents(100), tournaments=tournaments), by_value(worth))
    assert questions(batches) == 13 * tournaments
    assert slots(batches) == 185 * tournaments
    assert [len(batch) for batch in batches] == [n * tournaments for n in (5, 5, 1, 1, 1)]


def test_the_stages_of_a_hundred_are_the_papers_and_of_a_thousand_go_on_alike():
    assert list(stages(100, 20)) == [(50, 5), (20, 5), (10, 1), (5, 1), (2, 1)]
    assert [keep for keep, _ in stages(1000, 20)] == [500, 200, 100, 50, 20, 10, 5, 2]
    assert [list(stages(n, 20)) for n in range(4)] == [[], [], [(1, 1)], [(2, 1)]]


@pytest.mark.parametrize("window", [3, 4, 5, 7, 10, 20, 50])
def test_every_stage_leaves_fewer_and_no_group_is_wider_than_a_window(window):
    for count in [*range(151), 999, 1000]:
        left = count
        for keep, groups in stages(count, window):
            assert 1 <= keep < left and left <= groups * window
            left = keep
        assert left <= 2
    for count in range(60):
        _, batches = play(tournament(documents(count), window=window), by_value(worth))
        assert all(len(question.docs) <= window for batch in batches for question in batch)


def test_a_stage_selects_what_is_best_of_all_when_the_first_stage_is_right():
    """Groups by stride: each has its share of strong and weak documents."""
    for count in EVERY_COUNT:
        docs = documents(count)
        assert play(tournament(docs, tournaments=3), identity(place))[0] == docs


def test_groups_are_shuffled_and_a_seed_repeats_them():
    docs = documents(100)

    def asked(seed):
        return play(tournament(docs, tournaments=2, seed=seed), by_value(worth))[1]

    assert asked(1) == asked(1) != asked(2)
    first, second = asked(1)[0][:5], asked(1)[0][5:]
    assert {frozenset(q.docs) for q in first} == {frozenset(q.docs) for q in second}
    assert {frozenset(q.docs) for q in first} == {frozenset(docs[i::5]) for i in range(5)}
    assert all(list(q.docs) != sorted(q.docs) for q in first + second)
    assert {q.docs for q in first} & {q.docs for q in second} == set()


@pytest.mark.parametrize(("correlation", "floor"), [(0, 0.97), (0.5, 0.98), (0.8, 0.98)])
def test_recall_of_the_top_ten(correlation, floor):
    assert rehearse(tournament, correlation, lists=100).recall >= floor


def test_a_group_without_room_for_three_is_refused():
    with pytest.raises(ValueError, match="at least 3"):
        play(tournament(documents(5), window=2), by_value(worth))
