"""Adaptive depth: good documents lead to their neighbours, which were no candidates."""

from math import ceil

import pytest
from play import (
    EVERY_COUNT,
    JUDGES,
    best,
    by_value,
    documents,
    place,
    play,
    questions,
    slots,
    worth,
)

from rerank.strategies.adaptive import adaptive_rating, adaptive_window

BOTH = [adaptive_rating, adaptive_window]


def chain(corpus, width=4):
    """Each document's neighbours: those closest to it in worth."""
    line = sorted(corpus, key=worth)
    at = {doc: i for i, doc in enumerate(line)}

    def near(doc):
        i = at[doc]
        around = line[max(0, i - width) : i] + line[i + 1 : i + 1 + width]
        return sorted(around, key=lambda other: abs(worth(other) - worth(doc)))

    return near


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("strategy", BOTH)
def test_all_candidates_and_all_that_was_judged_are_ranked_once(strategy, judge):
    corpus = documents(300, 0.3)
    for count in EVERY_COUNT:
        candidates = corpus[:count]
        asking = strategy(candidates, neighbours=chain(corpus))
        ranking, batches = play(asking, JUDGES[judge](count))
        judged = {doc for batch in batches for question in batch for doc in question.documents}
        assert len(set(ranking)) == len(ranking)
        assert {*ranking} == {*candidates} | judged
        if strategy is adaptive_rating:
            assert questions(batches) == slots(batches) == count
            assert len(batches) == ceil(count / 16)
        elif count > 1:
            assert questions(batches) == 1 + ceil(max(0, count - 20) / 10)


@pytest.mark.parametrize("strategy", BOTH)
def test_good_documents_lead_to_better_ones_that_were_no_candidates(strategy):
    corpus = documents(1000, 0.5)
    candidates = corpus[:100]
    top = {*best(corpus)}
    found = {*play(strategy(candidates, neighbours=chain(corpus)), by_value(worth))[0][:10]}
    alone = {*play(strategy(candidates), by_value(worth))[0][:10]}
    assert len(found & top) > len(alone & top)
    assert len(found & top) >= 8


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize("depth", [0, 1, 15, 20, 33, 60, 250])
def test_no_more_documents_are_judged_than_the_depth(strategy, depth):
    corpus = documents(200)
    asking = strategy(corpus[:60], neighbours=chain(corpus), depth=depth)
    ranking, batches = play(asking, by_value(worth))
    judged = {doc for batch in batches for question in batch for doc in question.documents}
    if depth <= 60:
        assert len(judged) == (0 if strategy is adaptive_window and depth == 1 else depth)
    else:
        assert 60 < len(judged) <= 200
    rest = [doc for doc in corpus[:60] if doc not in judged]
    assert not rest or ranking[-len(rest) :] == rest


@pytest.mark.parametrize("strategy", BOTH)
def test_neighbours_that_are_candidates_are_not_doubled(strategy):
    docs = documents(50)
    ranking, _ = play(strategy(docs, neighbours=chain(docs)), by_value(worth))
    assert sorted(ranking) == docs
    assert ranking[:10] == best(docs)


@pytest.mark.parametrize("strategy", BOTH)
def test_equal_candidates_stay_apart_beside_their_neighbours(strategy):
    candidates = [3, 1, 3, 2, 1]
    asking = strategy(candidates, neighbours=lambda doc: [min(doc + 1, 5), 3], depth=9)
    ranking, _ = play(asking, by_value(float))
    assert sorted(ranking) == [1, 1, 2, 3, 3, 4, 5]
    assert ranking == sorted(ranking, reverse=True)


def test_ratings_take_candidates_and_the_frontier_in_turns():
    """Neighbours of the best rated come first, whoever found them."""
    near = {"a": "xy", "b": "z", "x": "a", "y": "", "z": "", "c": "", "d": ""}
    value = {"a": 1, "b": 5, "c": 0, "d": 2, "x": 3, "y": 4, "z": 0}
    asking = adaptive_rating("abcd", neighbours=lambda doc: list(near[doc]), batch=2, depth=7)
    ranking, batches = play(asking, by_value(value.__getitem__))
    asked = [[question.doc for question in batch] for batch in batches]
    assert asked == [["a", "b"], ["z", "x"], ["c", "d"], ["y"]]
    assert ranking == ["b", "y", "x", "d", "a", "c", "z"]


def test_windows_take_candidates_and_the_neighbours_of_their_best_in_turns():
    near = {"e": "xd", "d": "y", "x": "z"}
    value = "ablcmdex".index  # x is the best, and no candidate
    asking = adaptive_window(
        "abcdelm", neighbours=lambda doc: list(near.get(doc, "")), window=4, step=2, depth=8
    )
    ranking, batches = play(asking, by_value(lambda doc: value(doc) if doc in "ablcmdex" else -1))
    asked = ["".join(question.docs) for batch in batches for question in batch]
    assert asked[0] == "abcd"
    assert asked[1] == "dcye"  # d's neighbour, and a candidate where the frontier has no more
    assert asked[2].startswith("ed")
    assert len(set(ranking)) == len(ranking) and {*"abcdelm"} <= {*ranking}


def test_without_neighbours_ratings_go_out_in_one_round():
    _, batches = play(adaptive_rating(documents(100)), by_value(worth))
    assert [len(batch) for batch in batches] == [100]


def test_what_falls_out_of_the_window_keeps_first_stage_order():
    """The published code puts the last that fell out first, which turns the tail round."""
    docs = documents(100)
    assert play(adaptive_window(docs), by_value(lambda doc: -place(doc)))[0] == docs


@pytest.mark.parametrize("step", [0, 20])
def test_a_step_that_carries_nothing_or_stands_still_is_refused(step):
    with pytest.raises(ValueError, match="step must be in"):
        play(adaptive_window(documents(30), step=step), by_value(worth))
