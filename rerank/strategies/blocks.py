"""Overlapping blocks, all at once (JointRank: Dedov 2025, arXiv:2506.22262).

Every document is in as many blocks as any other; the blocks' orders are the ballots of one vote.
"""

import random
from collections.abc import Sequence
from math import ceil
from typing import TypeVar

from rerank.questions import Asking
from rerank.strategies.places import order_places
from rerank.strategies.votes import Aggregate, elect

T = TypeVar("T")


def joint_blocks(
    docs: Sequence[T],
    block: int = 20,
    repeats: int = 4,
    aggregate: Aggregate = "pagerank",
    seed: int = 0,
) -> Asking[list[T]]:
    """Order blocks of up to `block` documents, each document in `repeats` of them; count the votes.

    ceil(N * repeats / block) calls, `repeats` where a block holds all; one round.
    """
    blocks = design(len(docs), block, repeats, random.Random(seed))
    ballots = yield from order_places(docs, blocks)
    return [docs[place] for place in elect(ballots, len(docs), aggregate)]


def design(count: int, block: int, repeats: int, chance: random.Random) -> list[list[int]]:
    """Blocks whose sizes differ by at most one, with every place in `repeats` different blocks.

    Shuffled lists of all places are laid end to end and cut. A list begins with places that are
    not in the block that it completes.
    """
    if block < 2:
        raise ValueError(f"a block needs room for at least 2 documents, not {block}")
    slots = count * repeats
    number = max(repeats, ceil(slots / block))
    blocks: list[list[int]] = []
    line: list[int] = []
    for i in range(number if count else 0):
        size = slots * (i + 1) // number - slots * i // number
        if len(line) < size:
            again = chance.sample(range(count), count)
            line += sorted(again, key=set(line).__contains__)
        blocks.append(line[:size])
        line = line[size:]
    return blocks
