"""Results as Markdown: one table a suite, best first, cost and failures beside quality.

A pure function of what the runs say. It reads no clock and no machine.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rerank import runs
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


def render(results: Mapping[str, Result]) -> str:
    """The leaderboard: a table for each suite, rows linked to their run folders."""
    parts = ["<!-- made by `rerank leaderboard`; edit nothing here -->\n\n# Leaderboard\n"]
    for suite in sorted({result["suite"] for result in results.values()}):
        rows = {
            f"[{result['name']}](../runs/{folder})": result
            for folder, result in results.items()
            if result["suite"] == suite
        }
        parts.append(f"\n## {suite}\n\n{table(rows)}")
    return "".join(parts)


def regenerate(root: Path, file: Path, check: bool = False) -> bool:
    """Write the leaderboard of all runs under `root`; with `check` only say if it is up to date."""
    text = render(runs.read_results(root))
    fresh = file.exists() and file.read_text(encoding="utf-8") == text
    if not check and not fresh:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return fresh


def _order(result: Result, measures: Sequence[str]) -> float:
    return -result["mean"].get(measures[0], -1.0) if measures else 0.0


def _cells(name: str, result: Result, measures: Sequence[str]) -> list[str]:
    cost, means = result["cost"], result["mean"]
    values = [f"{means[m]:.4f}" if m in means else "-" for m in measures]
    tokens = cost["prompt_tokens"] + cost["completion_tokens"]
    bad = sum(count for status, count in cost["answers"].items() if status != "ok")
    spent = [f"{cost['calls']}", f"{cost['rounds']:g}", f"{tokens}", f"{bad}"]
    return [name, *values, *spent, f"{cost['seconds']:.1f}"]
