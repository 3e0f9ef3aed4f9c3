"""One order of runs from many queries and datasets: by mean, by Borda and by Kemeny.

After Colombo, Noiry, Irurozki & Clémençon, "What are the best systems?" (NeurIPS 2022): one level
counts the rankings of all queries alike; two levels rank within each dataset first and then count
the datasets alike. Law: a run that lacks a dataset is left out and named, never taken for 0, and
what comes out does not depend on the order of what goes in. Files are unknown here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from rerank.errors import InputError, extra
from rerank.evaluate.compare import table
from rerank.evaluate.rankings import Consensus, disagreements, is_only, kemeny, shared_ranks
from rerank.evaluate.ranks import Array
from rerank.evaluate.significance import ALPHA, SAMPLES, resampled

KEMENY_SAMPLES = 100

Tables: TypeAlias = Sequence[Array]
"""A table for each dataset: a row for each query, a column for each run."""

By: TypeAlias = Callable[[Tables, Sequence[Array]], dict[str, Array]]
"""Ranks by way: of a way [weights, runs], for tables and weights [weights, queries] for each."""


class Rank(NamedTuple):
    """A rank from 1, shared where nothing sets runs apart, and its 95 % bootstrap interval."""

    rank: float
    low: float
    high: float


class Optimum(NamedTuple):
    """How many pairs Kemeny's order has unlike the rankings, and what is known of it.

    That no order has fewer is `proven`, that every other one has more makes it `unique`.
    """

    disagreement: float
    proven: bool
    unique: bool


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Runs in one order over several datasets.

    `means` are over queries, then over datasets, `intervals` the ends of their bootstrap's 95 %
    intervals. `ranks` are by way, `mean` and `borda` and
    `kemeny` with `-one-level` and `-two-level`, and by run; `optima` are by Kemeny's ways.
    `incomplete` are the runs left out and the datasets that they lack.
    """

    datasets: tuple[str, ...]
    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    ranks: dict[str, dict[str, Rank]]
    optima: dict[str, Optimum]
    incomplete: dict[str, tuple[str, ...]]
    seed: int
    samples: int
    kemeny_samples: int


def aggregate(
    per_query: Mapping[str, Mapping[str, Mapping[str, float]]],
    *,
    seed: int = 0,
    samples: int = SAMPLES,
    kemeny_samples: int = KEMENY_SAMPLES,
) -> Aggregate:
    """Rank runs over datasets by their values, of which more is better, by dataset, run and query.

    The intervals are of queries drawn anew within each dataset.
    """
    datasets, runs, incomplete = _complete(per_query)
    tables = [table({run: per_query[dataset][run] for run in runs})[2] for dataset in datasets]
    ways = _ranks(_by_sums, tables, seed, samples) | _ranks(
        _by_kemeny, tables, seed, kemeny_samples
    )
    means = sum(scores.mean(axis=0) for scores in tables) / len(tables)
    return Aggregate(
        tuple(datasets),
        dict(zip(runs, means.tolist(), strict=True)),
        dict(zip(runs, _intervals(tables, seed, samples), strict=True)),
        {way: dict(zip(runs, ranks, strict=True)) for way, ranks in ways.items()},
        _optima(tables),
        incomplete,
        seed,
        samples,
        kemeny_samples,
    )


def _complete(
    per_query: Mapping[str, Mapping[str, object]],
) -> tuple[list[str], list[str], dict[str, tuple[str, ...]]]:
    """Datasets, the runs that have all of them, and what the others lack."""
    datasets = sorted(per_query)
    runs = sorted({run for scores in per_query.values() for run in scores})
    lacking = {run: tuple(d for d in datasets if run not in per_query[d]) for run in runs}
    complete = [run for run in runs if not lacking[run]]
    if not complete:
        raise InputError(f"no run has values for all datasets: {', '.join(datasets) or 'none'}")
    return datasets, complete, {run: lacks for run, lacks in lacking.items() if lacks}


def _draws(tables: Tables, seed: int, samples: int) -> Iterator[tuple[Array, ...]]:
    """Shares of queries drawn anew within each dataset, [samples, queries] in parts."""
    widest = max(map(len, tables))
    draws = [
        resampled(len(scores), (seed, number), samples, widest)
        for number, scores in enumerate(tables)
    ]
    return zip(*draws, strict=True)


def _intervals(tables: Tables, seed: int, samples: int) -> list[tuple[float, float]]:
    """The ends of the 95 % percentile interval of each run's mean."""
    np = extra("numpy", "eval")
    means = np.concatenate(
        [
            sum(drawn @ scores for drawn, scores in zip(weights, tables, strict=True))
            for weights in _draws(tables, seed, samples)
        ]
    )
    ends = np.quantile(means / len(tables), [ALPHA / 2, 1 - ALPHA / 2], axis=0)
    return list(zip(*ends.tolist(), strict=True))


def _ranks(by: By, tables: Tables, seed: int, samples: int) -> dict[str, list[Rank]]:
    """The ranks of runs by each way, and their intervals."""
    np = extra("numpy", "eval")
    found = by(tables, [np.full((1, len(scores)), 1 / len(scores)) for scores in tables])
    drawn = [by(tables, weights) for weights in _draws(tables, seed, samples)]
    ends = ALPHA / 2, 1 - ALPHA / 2
    ranks = {}
    for way, [best] in found.items():
        every = np.concatenate([part[way] for part in drawn])
        low, high = np.quantile(every, ends, axis=0, method="inverted_cdf").tolist()
        ranks[way] = list(map(Rank, best.tolist(), low, high))
    return ranks


def _by_sums(tables: Tables, weights: Sequence[Array]) -> dict[str, Array]:
    """Ranks by mean and by Borda's mean rank, for each row of the weights of queries."""
    np = extra("numpy", "eval")
    pairs = list(zip(tables, weights, strict=True))
    rank = [drawn @ shared_ranks(scores) for scores, drawn in pairs]
    sizes = [len(scores) for scores in tables]
    return {
        "mean": shared_ranks(np.mean([drawn @ scores for scores, drawn in pairs], axis=0)),
        "borda-one-level": shared_ranks(-np.average(rank, axis=0, weights=sizes)),
        "borda-two-level": shared_ranks(-np.mean([shared_ranks(-part) for part in rank], axis=0)),
    }


def _by_kemeny(tables: Tables, weights: Sequence[Array]) -> dict[str, Array]:
    """Ranks by Kemeny's consensus, for each row of the weights of queries."""
    np = extra("numpy", "eval")
    found = [_levels(tables, row) for row in zip(*weights, strict=True)]
    return {
        "kemeny-one-level": np.array([one[0].consensus.ranks for one, _ in found]),
        "kemeny-two-level": np.array([two[-1].consensus.ranks for _, two in found]),
    }


class _Level(NamedTuple):
    costs: Array
    consensus: Consensus


def _levels(tables: Tables, weights: Sequence[Array]) -> tuple[list[_Level], list[_Level]]:
    """What one level comes to; and two: each dataset by itself, and last all of them."""
    np = extra("numpy", "eval")
    costs = [
        disagreements(scores, len(scores) * row)
        for scores, row in zip(tables, weights, strict=True)
    ]
    inner = [_Level(part, kemeny(part)) for part in costs]
    if len(inner) == 1:
        return inner, inner
    ranks = np.array([level.consensus.ranks for level in inner])
    together = [np.sum(costs, axis=0), disagreements(-ranks, np.ones(len(ranks)))]
    one, outer = (_Level(part, kemeny(part)) for part in together)
    return [one], [*inner, outer]


def _optima(tables: Tables) -> dict[str, Optimum]:
    np = extra("numpy", "eval")
    one, two = _levels(tables, [np.full(len(scores), 1 / len(scores)) for scores in tables])
    return {
        way: Optimum(
            levels[-1].consensus.disagreement,
            all(level.consensus.proven for level in levels),
            all(is_only(level.consensus, level.costs) for level in levels),
        )
        for way, levels in (("kemeny-one-level", one), ("kemeny-two-level", two))
    }
