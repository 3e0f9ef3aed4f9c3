"""Order again only what is uncertain (AcuRank: Yoon et al. 2025, arXiv:2505.18512).

Every document has a Gaussian, whose prior comes from its first-stage rank alone: the published
one, score and score / 3, is no Gaussian where scores are negative (algorithms.md section 8.9).
"""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist
from typing import TypeVar

from rerank.questions import Asking, AsShown
from rerank.strategies.places import order_places
from rerank.strategies.trueskill import STANDARD, learn

T = TypeVar("T")

TRUST = 0.5
"""How much the first stage's order is believed to correlate with the truth: as much as BM25's."""

BETA = 0.5
"""The noise of a call on a document, half the spread of documents: TrueSkill's own ratio."""


def order_uncertain(
    docs: Sequence[T],
    window: int = 20,
    k: int = 10,
    tolerance: float = 0.01,
    few: int = 10,
    max_calls: int = 20,
) -> Asking[list[T]]:
    """Order every window once, then those that may or may not be among the best `k`, until sure.

    Uncertain is a chance between `tolerance` and 1 - `tolerance`. When `few`er are left, or one
    call, all that may belong to the best are ordered a last time. At most `max_calls` calls, one
    if a window holds all; the windows of a round go out together.
    """
    places = list(range(len(docs)))
    if len(docs) <= window:
        [order] = yield from order_places(docs, [places])
        return [docs[place] for place in order]
    skills, left, last = priors(len(docs)), max_calls, False
    while True:
        groups = [places[i : i + window] for i in range(0, len(places), window)]
        groups = groups[: left if last else left - 1]
        for order in (yield from order_places(docs, groups)):
            if isinstance(order, AsShown):
                continue
            learned = learn([skills[place] for place in order], BETA)
            for place, skill in zip(order, learned, strict=True):
                skills[place] = skill
        by_mean = sorted(range(len(docs)), key=lambda place: -skills[place].mean)
        if last:
            return [docs[place] for place in by_mean]
        left -= len(groups)
        chances = belonging(skills, k)
        likely = sorted((p for p in by_mean if chances[p] > tolerance), key=lambda p: -chances[p])
        unsure = [place for place in likely if chances[place] < 1 - tolerance]
        last = len(unsure) < few or left <= 1
        places = likely if last else unsure


def priors(count: int) -> list[NormalDist]:
    """What a rank says of a document, if worth is normal and correlates with it as we trust."""
    spread = sqrt(1 - TRUST**2)
    below = [1 - (place + 0.5) / count for place in range(count)]
    return [NormalDist(TRUST * STANDARD.inv_cdf(share), spread) for share in below]


def belonging(skills: Sequence[NormalDist], k: int) -> list[float]:
    """Each document's chance to be above a line, drawn so that the chances add up to `k`."""
    low = min(skill.mean - 9 * skill.stdev for skill in skills)
    high = max(skill.mean + 9 * skill.stdev for skill in skills)
    chances: list[float] = []
    for _ in range(40):
        line = (low + high) / 2
        chances = [1 - skill.cdf(line) for skill in skills]
        low, high = (line, high) if sum(chances) > k else (low, line)
    return chances
