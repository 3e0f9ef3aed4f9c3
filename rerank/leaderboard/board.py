"""What a leaderboard shows of the runs of one suite: compared, ranked, and set against their cost.

Law: runs are compared over the same queries under the same judgments. A run that was scored on
other ones, or lacks a dataset, is left out of what needs it and named, never taken for 0. What
comes out depends on neither the order of the runs nor the day. Statistics are `evaluate`'s; nothing
is computed here that is computed there.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from statistics import pstdev
from typing import Any, TypeAlias

from rerank.errors import UsageError
from rerank.evaluate import parse
from rerank.evaluate.aggregate import Aggregate, aggregate
from rerank.evaluate.compare import Comparison, compare

PerQuery: TypeAlias = Mapping[str, Mapping[str, Mapping[str, float]]]
SHOWN = 250
COSTS = ("tokens", "calls", "seconds")


@dataclass(frozen=True)
class Entry:
    """A run: its values by dataset, measure and query, under judgments that have these hashes.

    `key` tells it from all others; `cost` is None where nobody counted. `first` is whether it is a
    first stage, which others are compared with; `ceiling`, whether the judgments answered, so that
    it is no rival to anyone. `notes` are a few words, `remarks` are lines.
    """

    key: str
    name: str
    values: PerQuery
    judged: Mapping[str, str]
    about: str = ""
    link: str = ""
    cost: Mapping[str, Any] | None = None
    first: bool = False
    ceiling: bool = False
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board:
    """A suite's runs, best first by the mean of `measure`, of which more is better.

    `datasets` have their numbers of queries. `means` are by run and measure, over queries and then
    over datasets; `single` by dataset and run. `groups` share a letter unless they differ over all
    datasets. `comparisons` are with `baseline`, by dataset. `fronts` are the runs that no other one
    beats for less, by cost. `telling` are a dataset's queries on which runs differ most, the most
    telling first, `SHOWN` at the most.
    """

    title: str
    measure: str
    measures: tuple[str, ...]
    datasets: dict[str, int]
    judged: dict[str, str]
    entries: tuple[Entry, ...]
    means: dict[str, dict[str, float]]
    single: dict[str, dict[str, float]]
    found: Aggregate
    baseline: str
    groups: dict[str, str]
    comparisons: dict[str, Comparison]
    fronts: dict[str, tuple[str, ...]]
    incomplete: dict[str, tuple[str, ...]]
    telling: dict[str, tuple[str, ...]]

    def entry(self, key: str) -> Entry:
        return next(entry for entry in self.entries if entry.key == key)


def board(
    title: str, entries: Iterable[Entry], measures: Sequence[str], baseline: str = ""
) -> Board:
    """Compare the entries of one suite; the first measure of which more is better ranks them.

    `baseline` is an entry's key; else it is the worst first stage, or the worst run.
    """
    measure = _ranking(measures)
    judged = _judgments(found := sorted(entries, key=lambda entry: entry.key))
    values = {
        name: {e.key: e.values[name] for e in found if e.judged.get(name) == sha256}
        for name, sha256 in judged.items()
    }
    main = {name: {key: by[measure] for key, by in runs.items()} for name, runs in values.items()}
    ranked = aggregate(main)
    elsewhere = {
        e.key: tuple(judged) for e in found if not any(e.key in by for by in main.values())
    }
    incomplete = dict(sorted({**ranked.incomplete, **elsewhere}.items()))
    best = sorted(ranked.means, key=lambda key: (-round(ranked.means[key], 12), key))
    entry = {e.key: e for e in found}
    baseline = _baseline(baseline, [entry[key] for key in best])
    return Board(
        title,
        measure,
        tuple(measures),
        {name: len(next(iter(runs.values()))) for name, runs in main.items()},
        judged,
        tuple(entry[key] for key in [*best, *incomplete]),
        {key: {m: _macro(values, key, m) for m in measures} for key in best},
        {name: {k: _mean(v) for k, v in runs.items()} for name, runs in main.items()},
        ranked,
        baseline,
        _groups(main, best, baseline),
        {name: compare(r, baseline) for name, r in main.items() if _comparable(r, baseline)},
        {cost: _front(cost, [entry[key] for key in best], ranked.means) for cost in COSTS},
        incomplete,
        {name: _telling(runs) for name, runs in main.items()},
    )


def spent(entry: Entry, cost: str) -> float | None:
    """What a run cost in one currency; None where nobody counted, or a journal saved the time."""
    if entry.cost is None or (cost == "seconds" and entry.cost.get("replayed")):
        return None
    if cost == "tokens":
        return float(entry.cost["prompt_tokens"] + entry.cost["completion_tokens"])
    return float(entry.cost[cost])


def _ranking(measures: Sequence[str]) -> str:
    for name in measures:
        if not parse(name).less_is_better:
            return name
    raise UsageError(
        f"a leaderboard needs a measure of which more is better: {', '.join(measures)}"
    )


def _judgments(entries: Sequence[Entry]) -> dict[str, str]:
    """Each dataset's judgments: those that most runs were scored by, of two the larger."""
    datasets = sorted({name for entry in entries for name in entry.judged})
    return {name: _usual(name, entries) for name in datasets}


def _usual(dataset: str, entries: Sequence[Entry]) -> str:
    having = [entry for entry in entries if dataset in entry.judged]
    runs = Counter(entry.judged[dataset] for entry in having)
    size = {e.judged[dataset]: len(next(iter(e.values[dataset].values()))) for e in having}
    return max(runs, key=lambda sha256: (runs[sha256], size[sha256], sha256))


def _baseline(asked: str, best: Sequence[Entry]) -> str:
    if asked:
        if asked not in (keys := [entry.key for entry in best]):
            raise UsageError(f"no run {asked!r} to compare with; there are {', '.join(keys)}")
        return asked
    return next((entry.key for entry in reversed(best) if entry.first), best[-1].key)


def _mean(values: Mapping[str, float]) -> float:
    return fsum(values.values()) / len(values)


def _macro(values: Mapping[str, PerQuery], key: str, measure: str) -> float:
    """The mean over datasets of the mean over queries."""
    return fsum(_mean(runs[key][measure]) for runs in values.values()) / len(values)


def _comparable(runs: Mapping[str, Mapping[str, float]], baseline: str) -> bool:
    return len(runs) > 1 and baseline in runs and len(runs[baseline]) > 1


def _groups(main: PerQuery, best: Sequence[str], baseline: str) -> dict[str, str]:
    """Letters over all datasets, which count alike: queries of small ones weigh more."""
    total = sum(len(runs[baseline]) for runs in main.values())
    pooled = {
        key: {
            f"{name}/{query}": value * total / len(main) / len(runs[key])
            for name, runs in main.items()
            for query, value in runs[key].items()
        }
        for key in best
    }
    return compare(pooled, baseline).groups if _comparable(pooled, baseline) else {}


def _telling(runs: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    queries = next(iter(runs.values()))
    spread = {query: pstdev([by[query] for by in runs.values()]) for query in queries}
    return tuple(sorted(queries, key=lambda query: (-spread[query], query))[:SHOWN])


def _front(cost: str, entries: Sequence[Entry], means: Mapping[str, float]) -> tuple[str, ...]:
    """The runs than which none is both cheaper and better, the cheapest first."""
    rivals = [entry for entry in entries if not entry.ceiling]
    known = [(price, e.key) for e in rivals if (price := spent(e, cost)) is not None]
    front: list[str] = []
    for _, key in sorted(known, key=lambda run: (run[0], -means[run[1]], run[1])):
        if not front or means[key] > means[front[-1]]:
            front.append(key)
    return tuple(front)
