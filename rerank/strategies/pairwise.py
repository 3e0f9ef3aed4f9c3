"""Pairwise Ranking Prompting (Qin et al. 2023, arXiv:2306.17563): compare two at a time.

Models prefer what they read first, so a pair is asked in both orders. `debias` says what
becomes of the two answers: with "agree" a document wins only if both say so (the paper's rule),
with "mean" the stronger of the two preferences decides (for answers that are probabilities), and
with "sum" it counts by how much (duoT5's symmetric sum: Pradeep et al. 2021, arXiv:2101.05667).
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, TypeAlias, TypeVar

from rerank.questions import Asking, Compare, ask_all, together
from rerank.strategies import heap

T = TypeVar("T")
Debias: TypeAlias = Literal["agree", "mean", "sum"]


def duel(a: T, b: T, debias: Debias = "agree") -> Asking[float]:
    """Ask both orders: above 0.5 if `a` wins, below if `b` does, and with "sum" by how much."""
    forward, backward = yield from ask_all([Compare(a, b), Compare(b, a)])
    if debias == "sum":
        return (forward - backward + 1) / 2
    if debias == "mean":
        return 0.5 if forward == backward else float(forward > backward)
    if forward > 0.5 > backward:
        return 1.0
    return 0.0 if forward < 0.5 < backward else 0.5


def prp_allpairs(docs: Sequence[T], debias: Debias = "agree") -> Asking[list[T]]:
    """Play every pair: a win is a point, a draw half a point, ties keep first-stage order.

    N(N-1) calls in one round.
    """
    pairs = list(combinations(range(len(docs)), 2))
    outcomes = yield from together(duel(docs[i], docs[j], debias) for i, j in pairs)
    points = [0.0] * len(docs)
    for (i, j), outcome in zip(pairs, outcomes, strict=True):
        points[i] += outcome
        points[j] += 1 - outcome
    return [docs[i] for i in sorted(range(len(docs)), key=lambda i: -points[i])]


def prp_heapsort(docs: Sequence[T], k: int = 10, debias: Debias = "agree") -> Asking[list[T]]:
    """Build a binary heap, pop the best `k`; a draw goes to the first stage's favourite.

    About 2 x 250 calls for N = 100, k = 10 (algorithms.md section 4.2: 256, since its last sifts
    go on to the bottom), a quarter of the pairs one after the other. The tail keeps the first
    stage's order.
    """

    def contest(family: list[int]) -> Asking[int]:
        best = 0
        for challenger in range(1, len(family)):
            a, b = docs[family[challenger]], docs[family[best]]
            outcome = yield from duel(a, b, debias)
            if outcome > 0.5 or (outcome == 0.5 and family[challenger] < family[best]):
                best = challenger
        return best

    order = yield from heap.select(len(docs), k, 2, contest)
    return [docs[i] for i in order]


def prp_sliding(docs: Sequence[T], k: int = 10, debias: Debias = "agree") -> Asking[list[T]]:
    """Bubble the best documents up from the bottom, one pass for each of the `k` places to fill.

    2 * sum(N-1-i for i < k) calls (algorithms.md section 4.2). A pass starts as soon as the one
    before is two pairs ahead, so a query waits for N + k - 2 rounds, not for every pair.
    """
    ranking, last = list(docs), len(docs) - 1
    for step in range(last + k - 1):
        tops = range(min(k, last))
        lower = [i for top in tops if top < (i := last - step + 2 * top) <= last]
        outcomes = yield from together(duel(ranking[i], ranking[i - 1], debias) for i in lower)
        for i, outcome in zip(lower, outcomes, strict=True):
            if outcome > 0.5:
                ranking[i - 1], ranking[i] = ranking[i], ranking[i - 1]
    return ranking
