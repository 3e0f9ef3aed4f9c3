"""The leaderboard's two files, from run folders or from anybody's run files and judgments.

Law: their bytes follow from the runs and the data alone, so that `check` can tell whether a file
is what the runs say.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rerank import datasets, views
from rerank.errors import InputError, UsageError
from rerank.leaderboard import Board, Entry, View, board, page, read_folders, report
from rerank.pipeline.evidence import qrels_sha256
from rerank.runs import RESULT
from rerank.scoring import Ties, score_runs

RUN_FILE = re.compile(r"(.+?)(\.(trec|run|res|txt))(\.gz)?")


class Published(NamedTuple):
    """The text of the table and of the page, and what a reader of neither would see."""

    table: str
    page: str
    notes: list[str]


def from_folders(root: Path, file: Path, with_page: bool = True, texts: bool = True) -> Published:
    """The leaderboard of all run folders below `root`, as it is in `file`.

    Without `texts` the page needs none of the data that the runs ranked.
    """
    found = read_folders(root, Path(os.path.relpath(root, file.parent)).as_posix())
    if not (found.boards or found.unjudged):
        mend = "run files need --qrels" if any(root.glob("*.trec*")) else "`rerank run` makes one"
        raise InputError.at(root, None, f"no run folder in it; {mend}")
    seen = {
        b.title: views.of_folders(root, b, found.rows, texts) for b in found.boards if with_page
    }
    notes = [f"{key} is not on the leaderboard: nobody judged it" for key in found.unjudged]
    return _published(found.boards, seen, notes, with_page)


def from_files(
    folder: Path,
    qrels: Path | None,
    data: str,
    measures: Sequence[str],
    *,
    ties: Ties = "auto",
    baseline: str = "",
    title: str = "",
    with_page: bool = True,
) -> Published:
    """The leaderboard of a folder of run files, under judgments or those of a collection."""
    collection = datasets.load(data) if data else None
    if qrels:
        judged, name = datasets.read_qrels(qrels), title or (data and Path(data).name) or qrels.stem
    elif collection:
        judged, name = collection.qrels, title or collection.name
    else:
        raise UsageError("run files need judgments: give --qrels, or --data with a collection")
    paths = run_files(folder)
    files = list(paths.values())
    entries = []
    for path, scores, said in score_runs(files, judged, str(qrels or data), measures, ties):
        key = next(key for key, other in paths.items() if other == path)
        values = {name: scores.per_query}
        entries.append(Entry(key, key, values, {name: qrels_sha256(judged)}, remarks=tuple(said)))
    found = board(name, entries, list(entries[0].values[name]), baseline)
    seen = {name: [views.of_files(name, paths, judged, collection)]} if with_page else {}
    return _published([found], seen, [], with_page)


def run_files(folder: Path) -> dict[str, Path]:
    """The run files of a folder by name, without .trec, .run, .res or .txt and .gz."""
    if not folder.is_dir():
        raise InputError.at(folder, None, "no such folder of runs")
    named = [
        (found[1], p) for p in sorted(folder.iterdir()) if (found := RUN_FILE.fullmatch(p.name))
    ]
    if not named:
        what = "no run files in it: .trec, .run, .res or .txt, .gz too"
        raise InputError.at(folder, None, f"{what}{_of_run_folders(folder)}")
    stems = [stem for stem, _ in named]
    return {stem if stems.count(stem) == 1 else path.name: path for stem, path in named}


def _of_run_folders(folder: Path) -> str:
    """What to do where the runs are in folders below; empty where there are none."""
    below = sorted(file.parent for file in folder.glob(f"*/**/{RESULT}"))
    what = "; it holds run folders: leave out --qrels and --data, or name one, as --runs"
    return f"{what} {below[0]}" if below else ""


def stale(files: Mapping[Path, str], write: bool) -> list[Path]:
    """The files that say something else, or are not there; with `write` they are made anew."""
    found = []
    for path, text in files.items():
        if path.is_file() and path.read_bytes() == text.encode():
            continue
        found.append(path)
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
    return found


def _published(
    boards: Sequence[Board], seen: Mapping[str, Sequence[View]], notes: list[str], with_page: bool
) -> Published:
    return Published(report(boards), page(boards, seen) if with_page else "", notes)
