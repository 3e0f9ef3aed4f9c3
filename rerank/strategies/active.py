"""Order, again and again, the window that can still change the top most (our own).

Every document has a Gaussian, whose prior comes from its first-stage rank alone. Worth is counted
in standard deviations of the candidates' worth, so that nothing has to be fitted to a model.
"""

from collections.abc import Sequence
from math import erfc, exp, log2, sqrt, tau
from statistics import NormalDist, fmean
from typing import TypeVar

from rerank.questions import Asking
from rerank.strategies.places import order_places
from rerank.strategies.uncertain import BETA, priors

T = TypeVar("T")


def active(
    docs: Sequence[T], window: int = 20, k: int = 10, gain: float = 0.03, max_calls: int = 20
) -> Asking[list[T]]:
    """Order what is at stake most, learn from it, and stop when too little of the top `k` is.

    That is when the next order is expected to move less than `gain` of the top's DCG, where every
    place of it is worth 1. About 5 calls, each a round, for N = 100; 1 if a window holds all. A
    judge that contradicts itself would go on: at most `max_calls`.
    """
    if window < 2 or gain <= 0:
        raise ValueError(f"window must be 2 or more and gain above 0, not {window} and {gain}")
    if len(docs) <= window:
        [order] = yield from order_places(docs, [range(len(docs))])
        return [docs[place] for place in order]
    skills = priors(len(docs))
    for _ in range(max_calls):
        stakes = _stakes(skills, k)
        most = sorted(range(len(docs)), key=lambda place: -stakes[place])[:window]
        if sum(stakes[place] for place in most) < gain:
            break
        shown = _ranked(skills, sorted(most))
        [order] = yield from order_places(docs, [shown])
        _learn(skills, shown, order)
    return [docs[place] for place in _ranked(skills, range(len(docs)))]


def _ranked(skills: Sequence[NormalDist], places: Sequence[int]) -> list[int]:
    return sorted(places, key=lambda place: -skills[place].mean)


def _stakes(skills: Sequence[NormalDist], k: int) -> list[float]:
    """How much one more answer about a document is expected to change the DCG of the top `k`.

    It moves the mean by a normal step. What it moves beyond the line between two ranks counts by
    the difference of their discounts; below the top there is no discount.
    """
    means = sorted((skill.mean for skill in skills), reverse=True)
    ranks = range(min(k, len(means) - 1))
    lines = [(means[rank] + means[rank + 1]) / 2 for rank in ranks]
    discounts = [1 / log2(rank + 2) for rank in ranks]
    drops = [here - below for here, below in zip(discounts, [*discounts[1:], 0.0], strict=True)]
    steps = [skill.variance / sqrt(skill.variance + BETA**2) for skill in skills]
    return [
        sum(
            drop * _beyond(abs(skill.mean - line), step)
            for line, drop in zip(lines, drops, strict=True)
        )
        / sum(discounts)
        for skill, step in zip(skills, steps, strict=True)
    ]


def _beyond(distance: float, step: float) -> float:
    """How far a normal step is expected to lead beyond a line."""
    z = distance / step
    return step * exp(-z * z / 2) / sqrt(tau) - distance * erfc(z / sqrt(2)) / 2


def _learn(skills: list[NormalDist], shown: list[int], order: list[int]) -> None:
    """Take the r-th of an order to be worth what the r-th of these documents is expected to be.

    The documents of a window are taken to be normal, too. An order as it was shown may be no
    answer at all: it moves nothing, but the window counts as seen.
    """
    noise = BETA**2
    middle = fmean(skills[place].mean for place in shown)
    spread = fmean(
        (skills[place].mean - middle) ** 2 + skills[place].variance + noise for place in shown
    )
    for rank, place in enumerate(order):
        skill = skills[place]
        weight = skill.variance / (skill.variance + noise)
        share = 1 - (rank + 0.5) / len(order)
        seen = skill.mean if order == shown else NormalDist(middle, sqrt(spread)).inv_cdf(share)
        mean = skill.mean + weight * (seen - skill.mean)
        skills[place] = NormalDist(mean, sqrt((1 - weight) * skill.variance))
