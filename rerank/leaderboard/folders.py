"""Run folders as boards, one for each suite. What a `result.json` lacks is named by its key."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pydantic

from rerank import files, runs
from rerank.leaderboard.board import Board, Entry, board


class Spent(pydantic.BaseModel):
    """What a leaderboard reads of a run's cost."""

    calls: int
    rounds: float
    prompt_tokens: int
    completion_tokens: int
    answers: dict[str, int]
    seconds: float
    queries: int
    replayed: int = 0
    stopped_queries: int = 0


class Part(pydantic.BaseModel):
    """What a leaderboard reads of one dataset; nobody judged it where there is no hash."""

    file: str
    qrels_sha256: str | None = None


class Row(pydantic.BaseModel):
    """What a leaderboard reads of a `result.json`; the rest of it is others'."""

    name: str
    suite: str
    first: str
    strategy: str
    method: str
    judge: str | None
    model: str | None
    engine: str | None
    limit: int | None
    measures: tuple[str, ...]
    datasets: dict[str, Part]
    recipe: dict[str, Any]
    cost: Spent


class Found(NamedTuple):
    """Boards, the rows of their entries by key, and the runs that nobody judged."""

    boards: list[Board]
    rows: dict[str, Row]
    unjudged: tuple[str, ...]


def read_folders(root: Path, links: str) -> Found:
    """The boards of all run folders below `root`; a run's link is its folder below `links`."""
    results = runs.read_results(root)
    rows = {f: files.checked(Row, r, root / f / runs.RESULT) for f, r in results.items()}
    judged = {f: row for f, row in rows.items() if any(_judged(row))}
    suites = dict(_by_suite(judged))
    boards = [
        board(_title(suite, suites), list(_entries(root, found, links)), _measures(found))
        for suite, found in suites.items()
    ]
    return Found(boards, judged, tuple(sorted(rows.keys() - judged.keys())))


def _entries(root: Path, rows: Mapping[str, Row], links: str) -> Iterator[Entry]:
    names = [row.name for row in rows.values()]
    for folder, row in rows.items():
        yield Entry(
            folder,
            row.name if names.count(row.name) == 1 else folder,
            runs.read_scores(root / folder),
            dict(_judged(row)),
            " · ".join(filter(None, (row.method or row.strategy, row.model))),
            f"{links}/{folder}",
            row.cost.model_dump(),
            row.strategy == "first-stage",
            row.judge == "oracle",
            tuple(_notes(row)),
        )


def _judged(row: Row) -> Iterator[tuple[str, str]]:
    for name, part in row.datasets.items():
        if part.qrels_sha256:
            yield name, part.qrels_sha256


def _measures(rows: Mapping[str, Row]) -> list[str]:
    """Those that all runs have, in the order of the first run."""
    every = [row.measures for row in rows.values()]
    return [name for name in every[0] if all(name in measures for measures in every)]


def _notes(row: Row) -> Iterator[str]:
    """What makes a run less than it looks."""
    if row.judge == "oracle":
        yield "the judgments answer"
    if row.limit and row.limit <= row.cost.queries:
        yield f"first {row.limit} queries"
    if row.cost.stopped_queries:
        yield f"{row.cost.stopped_queries:,} queries stopped at the budget"
    if row.cost.replayed:
        yield f"{row.cost.replayed:,} calls from the journal"


def _title(suite: str, suites: Iterable[str]) -> str:
    """The last part of a path, unless two suites would have the same title."""
    short = {s: s.rpartition("/")[2].removesuffix(".toml") for s in suites}
    return short[suite] if [*short.values()].count(short[suite]) == 1 else suite


def _by_suite(rows: Mapping[str, Row]) -> Iterator[tuple[str, dict[str, Row]]]:
    for suite in sorted({row.suite for row in rows.values()}):
        yield suite, {folder: row for folder, row in rows.items() if row.suite == suite}
