"""Select the best of many with a heap of any arity; who wins a family is asked, not computed.

Heaps hold positions, never documents: equal documents stay two documents. The heap is built
level by level, and the nodes of one level, whose subtrees share nothing, go out together.
"""

from collections.abc import Callable, Iterator

from rerank.questions import Asking, together

Contest = Callable[[list[int]], Asking[int]]
"""Which of these positions is the best? The answer is an index into them. The first is the parent;
where nothing decides, the lowest position, the first stage's favourite, should win."""


def select(count: int, keep: int, arity: int, contest: Contest) -> Asking[list[int]]:
    """Return positions 0 .. count-1 with the best `keep` first, the rest in their old order.

    Exact for a consistent contest (algorithms.md sections 4.2 and 5.2: keep-1 sifts after
    the build, the tail keeps the first stage's order).
    """
    if arity < 1:
        raise ValueError(f"a heap's nodes need at least one child, not {arity}")
    heap = list(range(count))
    for level in _levels_from_below(count, arity):
        yield from together(_sift_down(heap, node, arity, contest) for node in level)
    best = [heap[0]] if heap and keep > 0 else []
    while len(best) < min(keep, count):
        heap[0] = heap[-1]
        heap.pop()
        yield from _sift_down(heap, 0, arity, contest)
        best.append(heap[0])
    chosen = set(best)
    return best + [i for i in range(count) if i not in chosen]


def _sift_down(heap: list[int], node: int, arity: int, contest: Contest) -> Asking[None]:
    while (child := arity * node + 1) < len(heap):
        best = yield from contest([heap[node], *heap[child : child + arity]])
        if best == 0:
            return
        winner = child + best - 1
        heap[node], heap[winner] = heap[winner], heap[node]
        node = winner


def _levels_from_below(count: int, arity: int) -> Iterator[range]:
    """The nodes that have children, level by level, the deepest first."""
    levels, first, width = [], 0, 1
    while arity * first + 1 < count:
        with_children = (count - 2) // arity + 1
        levels.append(range(first, min(first + width, with_children)))
        first, width = first + width, width * arity
    return reversed(levels)
