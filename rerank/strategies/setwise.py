"""Setwise (Zhuang et al. 2024, arXiv:2310.09497): pick the best of several at a time.

The document in the best place so far is always the first of a set. An answer that decides
nothing leaves the decision to the order that was there before: the first stage's in a heap (the
published code keeps the parent, which after each pop is a document from the bottom).
"""

from collections.abc import Sequence
from operator import neg
from typing import TypeVar

from rerank.questions import Asking, Pick, ask_all
from rerank.strategies import heap

T = TypeVar("T")


def setwise_heapsort(docs: Sequence[T], k: int = 10, children: int = 9) -> Asking[list[T]]:
    """Pop the best `k` off a heap whose nodes have `children` children each.

    A call shows children + 1 documents: about 29 calls for N = 100, k = 10 and 9 children, 75
    for 3 (algorithms.md section 5.2: 30 and 78, since its last sifts go on to the bottom). The tail
    keeps the first stage's order.
    """

    def contest(family: list[int]) -> Asking[int]:
        [weights] = yield [Pick(tuple(map(docs.__getitem__, family)))]
        _, _, best = max(zip(weights, map(neg, family), range(len(family)), strict=True))
        return best

    order = yield from heap.select(len(docs), k, children, contest)
    return [docs[i] for i in order]


def setwise_bubblesort(docs: Sequence[T], k: int = 10, children: int = 9) -> Asking[list[T]]:
    """Carry the best of each set upwards, `k` times, from the bottom (algorithms.md section 5.3).

    sum(ceil((N-1-i) / children) for i < k) calls. A pass starts as soon as the one before is two
    sets ahead. Sets that did not change since the last pass repeat word for word; the scheduler's
    memo answers them.
    """
    if children < 1:
        raise ValueError(f"a set needs at least one child, not {children}")
    ranking = list(docs)
    for sets in _waves(len(ranking), k, children):
        picks = yield from ask_all(Pick(tuple(ranking[part])) for part in sets)
        for part, weights in zip(sets, picks, strict=True):
            best = part.start + max(range(len(weights)), key=weights.__getitem__)
            ranking[part.start], ranking[best] = ranking[best], ranking[part.start]
    return ranking


def _waves(count: int, k: int, children: int) -> list[list[slice]]:
    """The sets of all passes, those together that share no document and wait for no other."""
    waves: dict[int, list[slice]] = {}
    for top in range(min(k, count)):
        for place, end in enumerate(range(count, top + 1, -children)):
            part = slice(max(end - children - 1, top), end)
            waves.setdefault(2 * top + place, []).append(part)
    return [waves[step] for step in sorted(waves)]
