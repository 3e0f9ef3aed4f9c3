"""Boards as Markdown: a table for each suite, best first, and beside it what its numbers can bear.

Same boards in, same bytes out; it reads no clock and no machine.
"""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from rerank.evaluate.aggregate import Rank
from rerank.leaderboard.board import Board, Entry, spent
from rerank.markdown import markdown

HEAD = "<!-- made by `rerank leaderboard`; edit nothing here -->\n\n# Leaderboard\n"
COST = ("calls", "rounds", "tokens", "not ok", "seconds")
WAYS = {"mean": "by mean", "borda-two-level": "Borda", "kemeny-two-level": "Kemeny"}


def report(boards: Sequence[Board]) -> str:
    """The leaderboard: a table and its notes for each suite."""
    return HEAD + "".join(f"\n## {_plain(board.title)}\n\n{_section(board)}" for board in boards)


def _section(board: Board) -> str:
    tables = [_runs(board), *_datasets(board)]
    notes = "".join(f"- {note}\n" for note in _notes(board))
    return "\n".join([*tables, notes])


def _runs(board: Board) -> str:
    others = [measure for measure in board.measures if measure != board.measure]
    head = [board.measure, "95 % interval", "group", "difference", *WAYS.values(), *others]
    known = any(entry.cost for entry in board.entries)
    rows = [["run", *head, *(COST if known else ())]]
    for entry in board.entries:
        if entry.key in board.means:
            rows.append([*_row(board, entry, others), *(_spent(entry) if known else ())])
    return markdown(rows)


def _row(board: Board, entry: Entry, others: Sequence[str]) -> list[str]:
    low, high = board.found.intervals[entry.key]
    return [
        _named(entry),
        f"{board.means[entry.key][board.measure]:.4f}",
        f"{low:.3f} to {high:.3f}",
        board.groups.get(entry.key, "-"),
        _difference(board, entry.key),
        *(ranked(board.found.ranks[way][entry.key]) for way in WAYS),
        *(f"{board.means[entry.key][measure]:.4f}" for measure in others),
    ]


def ranked(rank: Rank) -> str:
    """A rank and its interval: 2 (1 to 3)."""
    return f"{rank.rank:g} ({rank.low:g} to {rank.high:g})"


def _named(entry: Entry) -> str:
    name = _plain(entry.name)
    name = f"[{name}]({quote(entry.link)})" if entry.link else name
    return ", ".join([name, *map(_plain, entry.notes)])


def _difference(board: Board, key: str) -> str:
    """What a run has over the baseline, where one dataset is all there is."""
    if key == board.baseline:
        return "baseline"
    if len(board.datasets) > 1 or not board.comparisons:
        return "-"
    [comparison] = board.comparisons.values()
    found = comparison.differences[key]
    return f"{found.mean:+.4f} ({found.low:+.3f} to {found.high:+.3f}), p {found.p_holm:.4f}"


def _spent(entry: Entry) -> list[str]:
    if entry.cost is None:
        return ["-"] * len(COST)
    bad = sum(count for status, count in entry.cost["answers"].items() if status != "ok")
    seconds = spent(entry, "seconds")
    return [
        f"{entry.cost['calls']:,}",
        f"{entry.cost['rounds']:,.2f}",
        f"{spent(entry, 'tokens'):,.0f}",
        f"{bad:,}",
        "-" if seconds is None else f"{seconds:,.1f}",
    ]


def _datasets(board: Board) -> Iterator[str]:
    """Each dataset's means, where there are several."""
    if len(board.datasets) < 2:
        return
    rows = [["run", *map(_plain, board.datasets)]]
    for entry in board.entries:
        means = [board.single[name].get(entry.key) for name in board.datasets]
        rows.append([_named(entry), *("-" if m is None else f"{m:.4f}" for m in means)])
    yield markdown(rows)


def _notes(board: Board) -> Iterator[str]:
    sizes = ", ".join(
        f"{_plain(name)} ({queries} queries)" for name, queries in board.datasets.items()
    )
    found = board.found
    drawn = f"{found.samples:,} samples, seed {found.seed}"
    yield f"{sizes}. Interval: bootstrap over queries, {drawn}."
    if board.groups:
        yield (
            "Runs that share no group letter differ: randomised Tukey HSD over all pairs of this"
            " table, 5 %."
        )
    for name, comparison in board.comparisons.items():
        yield (
            f"Minimum detectable difference of {board.measure} over {comparison.queries} queries of"
            f" {_plain(name)}: {comparison.detectable:.3f} (80 % power at 5 %);"
            " less is likely noise."
        )
    if len(board.datasets) == 1 and board.comparisons:
        yield (
            f"Differences from {_plain(board.entry(board.baseline).name)}: interval by paired"
            " bootstrap, p by the paired randomisation test and Holm."
        )
    yield _kemeny(board)
    for cost, front in board.fronts.items():
        if front:
            names = ", ".join(_plain(board.entry(key).name) for key in front)
            yield f"No run is both better and cheaper in {cost} than: {names}."
    for key, lacks in board.incomplete.items():
        entry = board.entry(key)
        lacking = _plain(", ".join(lacks))
        yield f"Left out: {_named(entry)}; it lacks {lacking} under these judgments."
    for entry in board.entries:
        yield from (f"{_plain(entry.name)}: {_plain(remark)}" for remark in entry.remarks)
    for name, sha256 in board.judged.items():
        yield f"Judgments of {_plain(name)}: sha256 {sha256}."


def _kemeny(board: Board) -> str:
    optimum = board.found.optima["kemeny-two-level"]
    proven = "proven optimal" if optimum.proven else "not proven optimal"
    only = "the only one" if optimum.unique else "not the only one"
    return (
        "Ranks are shared where nothing sets runs apart; in parentheses 95 % of the ranks when"
        f" queries are drawn anew. Kemeny's order is {proven}, {only};"
        f" it disagrees with the queries on {optimum.disagreement:g} pairs."
        if len(board.datasets) == 1
        else "Ranks count datasets alike, whatever their size; in parentheses 95 % of the ranks"
        f" when queries are drawn anew. Kemeny's order is {proven}, {only}."
    )


def _plain(text: str) -> str:
    """A name that cannot be anything else in Markdown: a tag, a link or another column."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(text.split()))
