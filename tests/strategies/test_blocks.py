"""Overlapping blocks: the design is fair for any count, and one round is enough."""

import random
from collections import Counter
from math import ceil

import pytest
from play import (
    EVERY_COUNT,
    JUDGES,
    by_value,
    documents,
    play,
    questions,
    rehearse,
    slots,
    worth,
)

from rerank.strategies.blocks import design, joint_blocks
from rerank.strategies.votes import AGGREGATES


@pytest.mark.parametrize("judge", JUDGES)
def test_any_judge_and_count_give_a_permutation_at_the_predicted_cost(judge):
    for count in EVERY_COUNT:
        docs = documents(count)
        ranking, batches = play(joint_blocks(docs, aggregate="borda"), JUDGES[judge](count))
        calls = 0 if count < 2 else max(4, ceil(count * 4 / 20))
        assert sorted(ranking) == docs
        assert questions(batches) == calls
        assert slots(batches) == (4 * count if calls else 0)
        assert len(batches) == (calls > 0)


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_a_hundred_documents_cost_twenty_calls_in_one_round_however_votes_count(aggregate):
    ranking, batches = play(joint_blocks(documents(100), aggregate=aggregate), by_value(worth))
    assert sorted(ranking) == documents(100)
    assert ([len(batch) for batch in batches], slots(batches)) == ([20], 400)


@pytest.mark.parametrize(("block", "repeats"), [(20, 4), (20, 1), (7, 3), (2, 5), (10, 2)])
def test_every_document_is_in_as_many_blocks_as_any_other(block, repeats):
    for count in EVERY_COUNT:
        blocks = design(count, block, repeats, random.Random(count))
        sizes = {len(shown) for shown in blocks}
        assert all(len(set(shown)) == len(shown) <= block for shown in blocks)
        assert not sizes or max(sizes) - min(sizes) <= 1
        assert Counter(place for shown in blocks for place in shown) == dict.fromkeys(
            range(count), repeats
        )


def test_a_seed_repeats_the_blocks_and_another_gives_others():
    def blocks(seed):
        return design(100, 20, 4, random.Random(seed))

    assert blocks(1) == blocks(1) != blocks(2)


def test_what_one_block_holds_is_exact():
    for count in range(21):
        docs = documents(count)
        ranking, _ = play(joint_blocks(docs), by_value(worth))
        assert ranking == sorted(docs, key=worth, reverse=True)


@pytest.mark.parametrize(("repeats", "floor"), [(2, 0.86), (4, 0.92), (8, 0.95)])
def test_recall_of_the_top_ten_grows_with_the_blocks(repeats, floor):
    for correlation in (0, 0.5):
        played = rehearse(lambda docs: joint_blocks(docs, repeats=repeats), correlation, lists=30)
        assert floor <= played.recall <= floor + 0.07


def test_a_block_of_one_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        play(joint_blocks(documents(5), block=1), by_value(worth))
