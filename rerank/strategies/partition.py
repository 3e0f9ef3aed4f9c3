"""Top-down partitioning: find what beats a pivot (TDPart: Parry et al. 2024, arXiv:2405.14589).

The form repaired in algorithms.md section 6.5: what an earlier pass left behind goes below what a
later one leaves, and a pass that finds nothing better than the pivot is the last.
"""

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import TypeVar

from rerank.questions import Asking
from rerank.strategies.places import order_places

T = TypeVar("T")


def top_down(
    docs: Sequence[T],
    window: int = 20,
    cutoff: int = 10,
    buffer: int = 20,
    k: int = 10,
    parallel: bool = True,
) -> Asking[list[T]]:
    """Order the first window, hold its `cutoff`-th document against the rest, repeat with winners.

    At most `buffer` documents go on. In `parallel` the rest is asked in one round: in all
    1 + ceil((N - window) / (window - 1)) calls and mostly one more. Otherwise a pass asks no more
    when the buffer is full. Where `k` is more than a search settles, it is repeated below.
    """
    if not 1 <= cutoff <= min(window, buffer) or window < 2:
        raise ValueError(
            f"cutoff must be in 1 .. window and buffer, not {cutoff}"
            f" with window {window} and buffer {buffer}"
        )
    settled: list[int] = []
    rest = list(range(len(docs)))
    while rest and len(settled) < k:
        best, rest = yield from _settle(docs, rest, window, cutoff, buffer, parallel)
        settled += best
    return [docs[place] for place in settled + rest]


def _settle(
    docs: Sequence[T], places: list[int], window: int, cutoff: int, buffer: int, parallel: bool
) -> Asking[tuple[list[int], list[int]]]:
    """The best places in order, `cutoff` of them or more, and the others."""
    behind: list[int] = []
    while len(places) > window:
        [first] = yield from order_places(docs, [places[:window]])
        best, pivot, below = first[: cutoff - 1], first[cutoff - 1], first[cutoff:]
        room, rest = buffer - len(best), places[window:]
        above, lost = yield from _hold_against(docs, pivot, rest, window, room, parallel)
        kept, left = _keep(above, room)
        if not kept:
            return [*best, pivot], [*below, *lost, *behind]
        behind = [*left, pivot, *below, *lost, *behind]
        places = best + kept
    [order] = yield from order_places(docs, [places])
    return order, behind


def _hold_against(
    docs: Sequence[T], pivot: int, places: list[int], window: int, room: int, parallel: bool
) -> Asking[tuple[list[list[int]], list[int]]]:
    """What beats the pivot in each part of the places, and all that does not or was not asked."""
    parts = [places[i : i + window - 1] for i in range(0, len(places), window - 1)]
    above: list[list[int]] = []
    lost: list[int] = []
    for batch in [parts] if parallel else [[part] for part in parts]:
        if sum(map(len, above)) >= room:
            lost += chain(*batch)
            continue
        for order in (yield from order_places(docs, ([pivot, *part] for part in batch))):
            at = order.index(pivot)
            above.append(order[:at])
            lost += order[at + 1 :]
    return above, lost


def _keep(above: list[list[int]], room: int) -> tuple[list[int], list[int]]:
    """Keep the best of every part before the second best of any; the parts stay in their order."""
    turns = [place for turn in zip_longest(*above) for place in turn if place is not None]
    chosen = set(turns[:room])
    winners = list(chain(*above))
    return [p for p in winners if p in chosen], [p for p in winners if p not in chosen]
