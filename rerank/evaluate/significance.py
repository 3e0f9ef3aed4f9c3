"""What chance can do: intervals, p-values corrected for their number, groups, and what can be seen.

Law: queries are resampled or relabelled whole, so that every comparison is paired; what is random
takes a seed and repeats to the digit; no p-value is 0. Rows are queries and columns are runs. This
module knows neither measures nor names.
"""

from collections.abc import Iterator, Sequence
from math import sqrt

from rerank.errors import extra
from rerank.evaluate.ranks import Array
from rerank.evaluate.solvers import shift_seen, student

SAMPLES = 10_000
ALPHA = 0.05
POWER = 0.8
_CELLS = 2_000_000  # of an array of random numbers
_EQUAL = 1e-12  # sums that differ by less differ by rounding


def intervals(values: Array, seed: int, samples: int = SAMPLES) -> tuple[Array, Array]:
    """Ends of the bootstrap's 95 % percentile interval of each column's mean."""
    np = extra("numpy", "eval")
    means = np.concatenate([weights @ values for weights in resampled(len(values), seed, samples)])
    low, high = np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2], axis=0)
    return low, high


def resampled(
    queries: int, seed: int | Sequence[int], samples: int = SAMPLES, widest: int = 0
) -> Iterator[Array]:
    """The shares of queries in bootstrap samples, [samples, queries] in parts; rows add up to 1.

    Parts have as many samples for all sets of queries of which the largest has `widest`.
    """
    np = extra("numpy", "eval")
    random = np.random.default_rng(seed)
    for size in _parts(samples, max(queries, widest)):
        drawn = random.integers(queries, size=(size, queries))
        cells = drawn + np.arange(0, size * queries, queries)[:, None]
        counts = np.bincount(cells.ravel(), minlength=size * queries)
        yield counts.reshape(size, queries) / queries


def sign_flips(differences: Array, seed: int, samples: int = SAMPLES) -> Array:
    """Two-sided p of each column's mean in the paired randomisation test (Fisher 1935)."""
    np = extra("numpy", "eval")
    random, observed = np.random.default_rng(seed), abs(differences.sum(axis=0)) - _EQUAL
    as_large = np.zeros(differences.shape[1])
    for size in _parts(samples, len(differences)):
        signs = random.choice([-1.0, 1.0], size=(size, len(differences)))
        as_large += (abs(signs @ differences) >= observed).sum(axis=0)
    return (as_large + 1) / (samples + 1)


def holm(p: Sequence[float]) -> list[float]:
    """p-values that hold for all of them at once (Holm 1979)."""
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, largest = [0.0] * len(p), 0.0
    for place, column in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - place) * p[column]))
        adjusted[column] = largest
    return adjusted


def tukey(scores: Array, seed: int, samples: int = SAMPLES) -> Array:
    """p of each pair of columns in the randomised Tukey HSD test (Carterette, TOIS 2012).

    The columns change places at random within each row; a pair is significant where the whole table
    seldom has so large a range of means.
    """
    np = extra("numpy", "eval")
    random, (queries, runs) = np.random.default_rng(seed), scores.shape
    means = scores.mean(axis=0)
    observed, as_large = abs(means[:, None] - means) - _EQUAL, np.zeros((runs, runs))
    for size in _parts(samples, queries * runs):
        mixed = random.permuted(np.broadcast_to(scores, (size, queries, runs)), axis=2)
        ranges = np.sort(np.ptp(mixed.mean(axis=1), axis=1))
        as_large += size - np.searchsorted(ranges, observed)
    return (as_large + 1) / (samples + 1)


def groups(means: Array, p: Array, alpha: float = ALPHA) -> list[str]:
    """Letters for each column: two that share none differ significantly, "a" being the best group.

    `p` must fall as means are further apart, as Tukey's do, so that a group is a stretch of means.
    """
    np = extra("numpy", "eval")
    order = np.argsort(-means, kind="stable")
    alike = p[np.ix_(order, order)] >= alpha
    letters, until, number = [""] * len(order), 0, 0
    for first in range(len(order)):
        end = first + int(np.argmin(np.append(alike[first, first:], False)))
        if end > until:
            for column in order[first:end]:
                letters[column] += _letter(number)
            until, number = end, number + 1
    return letters


def detectable(spread: float, queries: int) -> float:
    """The difference of means that a test at 5 % finds with 80 % power, two-sided and paired.

    `spread` is the standard deviation of the differences between two runs' queries.
    """
    freedom = queries - 1
    return shift_seen(POWER, student(1 - ALPHA / 2, freedom), freedom) * spread / sqrt(queries)


def _parts(samples: int, cells: int) -> list[int]:
    size = max(1, _CELLS // cells)
    return [min(size, samples - start) for start in range(0, samples, size)]


def _letter(number: int) -> str:
    return chr(ord("a") + number % 26) + (str(number // 26 + 1) if number > 25 else "")
