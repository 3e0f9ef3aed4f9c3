"""Setwise (Zhuang et al. 2024, arXiv:2310.09497): pick the best of several at a time.

The document in the best place so far is always the first of a set. An answer that decides
nothing leaves the decision to the order that was there before: the first stage's in a heap (the
published code keeps the parent, which after each pop is a document from the bottom).
"""

from collections.abc import Sequence
from typing import TypeVar

from rerank.questions import Asking, Pick, ask
from rerank.strategies import heap

T = TypeVar("T")


def setwise_heapsort(docs: Sequence[T], k: int = 10, children: int = 9) -> Asking[list[T]]:
    """Pop the best `k` off a heap whose nodes have `children` children each.

    A call shows children + 1 documents: about 30 calls for N = 100, k = 10 and 9 children, 78
    for 3 (algorithms.md section 5.2). The tail keeps the first stage's order.
    """

    def contest(family: list[int]) -> Asking[int]:
        weights = yield from ask(Pick(tuple(docs[i] for i in family)))
        return max(range(len(family)), key=lambda i: (weights[i], -family[i]))

    order = yield from heap.select(len(docs), k, children, contest)
    return [docs[i] for i in order]


def setwise_bubblesort(docs: Sequence[T], k: int = 10, children: int = 9) -> Asking[list[T]]:
    """Carry the best of each set upwards, `k` times, from the bottom (algorithms.md section 5.3).

    sum(ceil((N-1-i) / children) for i < k) calls. Sets that did not change since the last pass
    repeat word for word; the scheduler's memo answers them.
    """
    if children < 1:
        raise ValueError(f"a set needs at least one child, not {children}")
    ranking = list(docs)
    for top in range(min(k, len(ranking))):
        end = len(ranking)
        while end - top > 1:
            start = max(end - children - 1, top)
            weights = yield from ask(Pick(tuple(ranking[start:end])))
            best = start + max(range(end - start), key=weights.__getitem__)
            ranking[start], ranking[best] = ranking[best], ranking[start]
            end -= children
    return ranking
