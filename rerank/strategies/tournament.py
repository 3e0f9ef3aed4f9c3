"""Tournaments: groups select who plays on (TourRank: Chen et al. 2024, arXiv:2406.11678).

A place gained is a point, and points of independent tournaments add up. The selection of m out
of n is the question `Order`, of whose answer the first m count.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import count as counting
from math import ceil
from typing import TypeVar

from rerank.questions import Asking, AsShown, together
from rerank.strategies.places import order_places

T = TypeVar("T")


def stages(count: int, window: int) -> Iterator[tuple[int, int]]:
    """How many play on after each stage, and in how many groups they are selected.

    N/2, N/5, N/10, N/20, N/50 .. down to 2: for 100 the paper's 50, 20, 10, 5, 2. A stage that
    keeps two fifths has groups half as wide (4 of 10 in the paper).
    """
    if window < 3:
        raise ValueError(f"a group needs room for at least 3 documents, not {window}")
    left = count
    for stage in counting():
        if left < 2 or (left == 2 and stage):
            return
        keep = max(round(count / ((2, 5, 10)[stage % 3] * 10 ** (stage // 3))), min(2, left - 1))
        each = max(3, window // 2) if stage % 3 == 1 else window
        yield keep, 1 if left <= window else ceil(left / each)
        left = keep


def tournament(
    docs: Sequence[T], window: int = 20, tournaments: int = 1, seed: int = 0
) -> Asking[list[T]]:
    """Sort by the points of several tournaments played side by side; ties keep first-stage order.

    13 calls, 185 document slots and 5 rounds for N = 100 and one tournament; each further
    tournament adds calls, not rounds.
    """
    chances = [random.Random(f"{seed} {number}") for number in range(tournaments)]
    played = yield from together(_play(docs, window, chance) for chance in chances)
    points = [sum(gained) for gained in zip(*played, strict=True)]
    return [docs[place] for place in sorted(range(len(docs)), key=lambda place: -points[place])]


def _play(docs: Sequence[T], window: int, chance: random.Random) -> Asking[list[int]]:
    """The points of every place after one tournament.

    Groups take every so-manieth document, so that each has strong and weak ones, and are shuffled.
    Where nobody decides, the first stage does.
    """
    points = [0] * len(docs)
    left = list(range(len(docs)))
    for keep, count in stages(len(docs), window):
        groups = [left[first::count] for first in range(count)]
        shuffled = [chance.sample(group, len(group)) for group in groups]
        told = yield from order_places(docs, shuffled)
        orders = [sorted(order) if isinstance(order, AsShown) else order for order in told]
        places = [len(range(first, keep, count)) for first in range(count)]
        left = sorted(p for order, m in zip(orders, places, strict=True) for p in order[:m])
        for place in left:
            points[place] += 1
    return points
