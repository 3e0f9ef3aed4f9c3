"""Which runs differ, by how much, and what difference these queries could have shown at all.

Law: runs are compared query by query over the same queries, and what comes out depends on neither
the order of runs and queries nor the day. This module knows neither files nor measures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from rerank.errors import InputError, UsageError, extra
from rerank.evaluate import significance
from rerank.evaluate.ranks import Array

MOVED = 5  # queries that are named


class Moved(NamedTuple):
    """A query, and what the baseline and the run are worth there."""

    query: str
    baseline: float
    run: float


@dataclass(frozen=True, slots=True)
class Difference:
    """What a run has over the baseline: the mean over queries and what is known of it.

    `low` and `high` are the ends of the paired bootstrap's 95 % interval. `effect` is the mean by
    the standard deviation over queries (d_z), None where nothing varies. `p` is of the paired
    randomisation test and `p_holm` corrected for all runs that are compared with the baseline.
    `moved` are the queries that differ most, the one that differs most first.
    """

    mean: float
    low: float
    high: float
    effect: float | None
    p: float
    p_holm: float
    wins: int
    ties: int
    losses: int
    moved: tuple[Moved, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs compared with a baseline and with each other over the same queries.

    `groups` are letters for each run: two runs that share none differ, by the randomised Tukey HSD
    test of all pairs at 5 % for the whole table; `pairs` are its p-values. `detectable` is the
    difference that a test of two such runs finds with 80 % power at 5 %, if their queries differ by
    the standard deviation `spread`, the median over all pairs.
    """

    baseline: str
    queries: int
    means: dict[str, float]
    differences: dict[str, Difference]
    groups: dict[str, str]
    pairs: dict[tuple[str, str], float]
    spread: float
    detectable: float
    seed: int
    samples: int


def compare(
    per_query: Mapping[str, Mapping[str, float]],
    baseline: str,
    *,
    seed: int = 0,
    samples: int = significance.SAMPLES,
) -> Comparison:
    """Compare runs, each with its value for every query, with one of them and with each other.

    More must be better. Needs two runs and two queries, and every run must have the same queries.
    """
    if baseline not in per_query or len(per_query) < 2:
        raise UsageError("a comparison needs a baseline and another run")
    runs, queries, scores = table(per_query)
    if len(queries) < 2:
        raise InputError("a comparison needs two queries at least")
    means, tukey = scores.mean(axis=0), significance.tukey(scores, seed, samples)
    spread = _spread(scores)
    return Comparison(
        baseline,
        len(queries),
        dict(zip(runs, means.tolist(), strict=True)),
        _differences(scores, runs, queries, baseline, seed, samples),
        dict(zip(runs, significance.groups(means, tukey), strict=True)),
        {(runs[i], runs[j]): float(tukey[i, j]) for i, j in combinations(range(len(runs)), 2)},
        spread,
        significance.detectable(spread, len(queries)),
        seed,
        samples,
    )


def table(per_query: Mapping[str, Mapping[str, float]]) -> tuple[list[str], list[str], Array]:
    """Runs and queries in the order of their names, and the values, a row for each query.

    A query that not all runs have is an InputError.
    """
    np = extra("numpy", "eval")
    first, *others = runs = sorted(per_query)
    for run in others:
        if odd := per_query[run].keys() ^ per_query[first].keys():
            raise InputError(f"only one of {first} and {run} has a value for query {min(odd)}")
    queries = sorted(per_query[first])
    return runs, queries, np.array([[per_query[run][q] for run in runs] for q in queries])


def _spread(scores: Array) -> float:
    """The median, over all pairs of runs, of the standard deviation of their differences."""
    np = extra("numpy", "eval")
    pairs = combinations(range(scores.shape[1]), 2)
    return float(np.median([(scores[:, i] - scores[:, j]).std(ddof=1) for i, j in pairs]))


def _differences(
    scores: Array,
    runs: Sequence[str],
    queries: Sequence[str],
    baseline: str,
    seed: int,
    samples: int,
) -> dict[str, Difference]:
    others = [column for column, run in enumerate(runs) if run != baseline]
    old = scores[:, runs.index(baseline)]
    gains = scores[:, others] - old[:, None]
    p = significance.sign_flips(gains, seed, samples).tolist()
    chances = zip(
        *significance.intervals(gains, seed, samples), p, significance.holm(p), strict=True
    )
    return {
        runs[column]: _difference(gain, chance, _moved(queries, old, scores[:, column]))
        for column, gain, chance in zip(others, gains.T, chances, strict=True)
    }


def _difference(
    gain: Array, chances: tuple[float, float, float, float], moved: tuple[Moved, ...]
) -> Difference:
    low, high, p, p_holm = map(float, chances)
    mean, spread = float(gain.mean()), float(gain.std(ddof=1))
    effect = mean / spread if spread > 0 else None
    wins, losses = int((gain > 0).sum()), int((gain < 0).sum())
    ties = len(gain) - wins - losses
    return Difference(mean, low, high, effect, p, p_holm, wins, ties, losses, moved)


def _moved(queries: Sequence[str], old: Array, new: Array) -> tuple[Moved, ...]:
    rows = zip(queries, old.tolist(), new.tolist(), strict=True)
    moved = [Moved(*row) for row in rows if row[1] != row[2]]
    return tuple(sorted(moved, key=lambda m: (-abs(m.run - m.baseline), m.query))[:MOVED])
