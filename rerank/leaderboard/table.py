"""Results as Markdown: one table a suite, best first, cost and failures beside quality.

A pure function of what the runs say. It reads no clock and no machine.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from rerank.markdown import markdown

Result = Mapping[str, Any]
COST = ("calls", "rounds", "tokens", "not ok", "seconds")


def table(results: Mapping[str, Result]) -> str:
    """Results of one suite as a Markdown table, best first by their first measure.

    `results` are by the name that a row shall have. A reranked row's first stage is not in it
    unless it is a result of its own.
    """
    measures = list(dict.fromkeys(m for result in results.values() for m in result["mean"]))
    best = sorted(results, key=lambda name: (_order(results[name], measures), name))
    rows = [["run", *measures, *COST]]
    rows += [_cells(name, results[name], measures) for name in best]
    return markdown(rows)


def summary(results: Mapping[str, Result]) -> str:
    """What runs gained: a table for each suite, with the first stage that they began with.

    `results` are by their folders, which name the rows where the names of runs do not.
    """
    parts = []
    for suite, found in _by_suite(results):
        names = [result["name"] for result in found.values()]
        rows = dict(
            found if len({*names}) < len(names) else zip(names, found.values(), strict=True)
        )
        head = f"{suite}\n\n" if len(found) < len(results) else ""
        parts.append(head + table({**_first_stages(found.values()), **rows}))
    return "\n".join(parts)


def _by_suite(results: Mapping[str, Result]) -> Iterator[tuple[str, dict[str, Result]]]:
    for suite in sorted({result["suite"] for result in results.values()}):
        yield suite, {key: r for key, r in results.items() if r["suite"] == suite}


def _first_stages(results: Collection[Result]) -> dict[str, Result]:
    """What was there before any reranking, unless a result is that already."""
    there = [r["first_stage"] for r in results if r["strategy"] == "first-stage"]
    return {
        f"{r['first']} (first stage)": {"mean": r["first_stage"], "limit": _limit(r)}
        for r in results
        if r["first_stage"] and r["first_stage"] not in there
    }


def _order(result: Result, measures: Sequence[str]) -> float:
    return -result["mean"].get(measures[0], -1.0) if measures else 0.0


def _cells(name: str, result: Result, measures: Sequence[str]) -> list[str]:
    means = result["mean"]
    values = [f"{means[m]:.4f}" if m in means else "-" for m in measures]
    return [name + _note(result), *values, *_spent(result.get("cost"))]


def _note(result: Result) -> str:
    """What makes a run less than it looks: queries left out, or stopped before they were done."""
    limit = f", first {limit} queries" if (limit := _limit(result)) else ""
    stopped = result.get("cost", {}).get("stopped_queries")
    note = limit + (f", {stopped:,} queries stopped at the budget" if stopped else "")
    replayed = result.get("cost", {}).get("replayed")
    return note + (f", {replayed:,} calls from the journal" if replayed else "")


def _limit(result: Result) -> int | None:
    """Of how many queries it is, where there are more."""
    limit = result["limit"]
    ranked = result.get("cost", {}).get("queries", limit)
    return limit if limit and limit <= ranked else None


def _spent(cost: Mapping[str, Any] | None) -> list[str]:
    if cost is None:
        return ["-"] * len(COST)
    tokens = cost["prompt_tokens"] + cost["completion_tokens"]
    bad = sum(count for status, count in cost["answers"].items() if status != "ok")
    counts = [f"{cost['calls']:,}", f"{cost['rounds']:,.2f}", f"{tokens:,}", f"{bad:,}"]
    return [*counts, f"{cost['seconds']:,.1f}"]
