"""Whether probabilities are true: of what was given 0.7, are seven in ten relevant?"""

from collections.abc import Sequence
from itertools import pairwise
from math import log

from rerank.files import Strict

BINS = 10
LEAST = 1e-9


class Bin(Strict):
    """Documents of about the same probability: its mean, and how many of them are relevant."""

    probability: float
    relevant: float
    count: int


class Reliability(Strict):
    """Measured on queries that the mapping was not fitted on.

    `error` is the expected calibration error, the mean distance of a bin from the diagonal;
    `log_loss` in nats, `brier` the mean squared error. `curve` has bins of equal size.
    """

    queries: int
    documents: int
    error: float
    log_loss: float
    brier: float
    curve: tuple[Bin, ...]


def reliability(queries: int, found: Sequence[tuple[float, bool]]) -> Reliability:
    """From each document's probability and whether it is relevant."""
    ordered = sorted(found)
    ends = [round(len(ordered) * place / BINS) for place in range(BINS + 1)]
    slices = [ordered[a:b] for a, b in pairwise(ends) if b > a]
    curve = tuple(
        Bin(
            probability=sum(p for p, _ in one) / len(one),
            relevant=sum(relevant for _, relevant in one) / len(one),
            count=len(one),
        )
        for one in slices
    )
    total = len(ordered)
    return Reliability(
        queries=queries,
        documents=total,
        error=sum(b.count * abs(b.probability - b.relevant) for b in curve) / total,
        log_loss=-sum(log(max(p if hit else 1 - p, LEAST)) for p, hit in ordered) / total,
        brier=sum((p - hit) ** 2 for p, hit in ordered) / total,
        curve=curve,
    )


def without_scores(found: Reliability) -> float:
    """The log loss of giving every document the share of those that are relevant."""
    share = sum(b.count * b.relevant for b in found.curve) / found.documents
    return -sum(part * log(part) for part in (share, 1 - share) if part > 0)
