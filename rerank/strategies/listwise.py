"""Listwise reranking: order a window at a time (RankGPT: Sun et al. 2023, arXiv:2304.09542).

One pass carries at most window - stride documents from the bottom to the top; so many places
are right under a perfect judge, and `carried` says how many (algorithms.md section 2.1).
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rerank.questions import Asking, Order, ask

T = TypeVar("T")


def windows(count: int, window: int, stride: int) -> Iterator[slice]:
    """Windows from the bottom to the top: each is clamped at 0, and the last one starts there."""
    if not 1 <= stride <= window:
        raise ValueError(f"stride must be in 1 .. window, not {stride} with window {window}")
    for end in range(count, 0, -stride):
        start = max(end - window, 0)
        yield slice(start, end)
        if start == 0:
            return


def carried(window: int, stride: int, passes: int) -> int:
    """How many of the best documents reach the top for certain when there are many windows."""
    return passes * (window - stride)


def sliding_window(
    docs: Sequence[T], window: int = 20, stride: int = 10, passes: int = 1, k: int = 10
) -> Asking[list[T]]:
    """Slide a window from the bottom to the top, ordering it in place, `passes` times over.

    1 + ceil((N - window) / stride) calls a pass, each a round; none for a single document. A pass
    that leaves the top `k` as it was is the last.
    """
    ranking = list(docs)
    for _ in range(passes if len(ranking) > 1 else 0):
        before = ranking[:k]
        for part in windows(len(ranking), window, stride):
            ranking[part] = yield from ask(Order(tuple(ranking[part])))
        if ranking[:k] == before:
            break
    return ranking


def full_ranking(docs: Sequence[T]) -> Asking[list[T]]:
    """Order everything at once: one window as wide as the list (Liu et al. 2024, 2412.14574)."""
    return (yield from sliding_window(docs, window=max(len(docs), 1), stride=max(len(docs), 1)))
