"""Make one ranking of many: ballots are lists of places, best first, and may leave places out."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal, TypeAlias

from rerank.questions import AsShown

Ballots: TypeAlias = Sequence[Sequence[int]]
Aggregate: TypeAlias = Literal["borda", "rrf", "winrate", "pagerank"]


def elect(ballots: Ballots, count: int, aggregate: Aggregate) -> list[int]:
    """Places 0 .. count-1, best first; places with the same score stay in their old order.

    Scores that differ by no more than sums of the same numbers do are the same. An order that
    nobody decided is no ballot.
    """
    cast = [ballot for ballot in ballots if not isinstance(ballot, AsShown)]
    scores = AGGREGATES[aggregate](cast, count)
    return sorted(range(count), key=lambda place: -round(scores[place], 9))


def borda(ballots: Ballots, count: int) -> list[float]:
    """A point for each place that comes later on the same ballot."""
    points = [0.0] * count
    for ballot in ballots:
        for beaten, place in enumerate(reversed(ballot)):
            points[place] += beaten
    return points


def reciprocal_rank(ballots: Ballots, count: int, k: int = 60) -> list[float]:
    """1 / (k + rank), summed (Cormack et al. 2009, doi:10.1145/1571941.1572114)."""
    points = [0.0] * count
    for ballot in ballots:
        for rank, place in enumerate(ballot, 1):
            points[place] += 1 / (k + rank)
    return points


def win_rate(ballots: Ballots, count: int) -> list[float]:
    """The share of ballots won against an opponent, averaged over the opponents met."""
    won = Counter(pair for ballot in ballots for pair in combinations(ballot, 2))
    met, rates = [0] * count, [0.0] * count
    for a, b in dict.fromkeys((min(pair), max(pair)) for pair in won):
        share = won[a, b] / (won[a, b] + won[b, a])
        for place, rate in ((a, share), (b, 1 - share)):
            met[place] += 1
            rates[place] += rate
    return [rate / max(1, opponents) for rate, opponents in zip(rates, met, strict=True)]


def page_rank(
    ballots: Ballots, count: int, damping: float = 0.85, tolerance: float = 1e-12
) -> list[float]:
    """Where a walk from losers to those who beat them spends its time (Page et al. 1999).

    Power iteration. The winners above a loser on a ballot share equally, so a running sum from
    the bottom of each ballot stands for the matrix of pairs.
    """
    losses = [0] * count
    for ballot in ballots:
        for above, place in enumerate(ballot):
            losses[place] += above
    ranks, change = [1.0] * count, 1.0  # a mean of 1
    while change > tolerance:
        unbeaten = sum(rank for rank, lost in zip(ranks, losses, strict=True) if not lost)
        new = [1 - damping + damping * unbeaten / count] * count if count else []
        for ballot in ballots:
            passed_on = 0.0
            for place in reversed(ballot):
                new[place] += damping * passed_on
                passed_on += ranks[place] / losses[place] if losses[place] else 0.0
        change = sum(abs(a - b) for a, b in zip(ranks, new, strict=True))
        ranks = new
    return ranks


AGGREGATES: dict[Aggregate, Callable[[Ballots, int], list[float]]] = {
    "borda": borda,
    "rrf": reciprocal_rank,
    "winrate": win_rate,
    "pagerank": page_rank,
}
