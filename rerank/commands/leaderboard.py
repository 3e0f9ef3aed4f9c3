"""`rerank leaderboard`: table and page, from run folders or from run files and judgments."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rerank import printing
from rerank.errors import InputError, UsageError

OURS, THEIRS = Path("eval/LEADERBOARD.md"), Path("LEADERBOARD.md")
PAGE = "leaderboard.html"
STALE = "is not what the runs say; run: rerank leaderboard, with the same options but --check"


def leaderboard(
    root: Annotated[
        Path, typer.Option("--runs", help="Where run folders are; with judgments, run files.")
    ] = Path("runs"),
    qrels: Annotated[
        Path | None, typer.Option(help="Judgments of run files: BEIR tsv or TREC qrels.")
    ] = None,
    data: Annotated[
        str, typer.Option(help="Their collection, for texts: a BEIR folder, hub:... or irds:...")
    ] = "",
    measures: Annotated[
        list[str] | None, typer.Option("-m", "--measure", help="Of run files; the first ranks.")
    ] = None,
    ties: Annotated[
        Literal["auto", "file", "ids"],
        typer.Option(help="Equal scores of run files: as they stand, or by id as trec_eval."),
    ] = "auto",
    baseline: Annotated[str, typer.Option(help="The run file's name to compare with.")] = "",
    title: Annotated[str, typer.Option(help="A name for what run files ran on.")] = "",
    file: Annotated[
        Path | None, typer.Option(help=f"The table; {OURS}, or {THEIRS} for run files.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help=f"The page; {PAGE} beside the table.")] = None,
    texts: Annotated[
        bool, typer.Option(help="Texts and first stages, for which the data are loaded.")
    ] = True,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether both are what the runs say.")
    ] = False,
) -> None:
    """Rebuild table and page from the runs; the same runs give the same bytes."""
    from rerank import publishing

    of_files = bool(qrels or data)
    if not of_files and (measures or baseline or title):
        raise UsageError("--measure, --baseline and --title are for run files: give --qrels, too")
    table = file or (THEIRS if of_files else OURS)
    shown = page or table.with_name(PAGE)
    with_page = not check or bool(page) or shown.exists()
    if of_files:
        wanted = measures or ["ndcg@10", "map", "recall@100", "judged@10"]
        found = publishing.from_files(
            root,
            qrels,
            data,
            wanted,
            ties=ties,
            baseline=baseline,
            title=title,
            with_page=with_page,
        )
    else:
        found = publishing.from_folders(root, table, with_page, texts)
    for note in found.notes:
        printing.say(note)
    files = {table: found.table, **({shown: found.page} if with_page else {})}
    old = publishing.stale(files, write=not check)
    if old and check:
        raise InputError.at(old[0], None, STALE)
    for path in files:
        printing.say(f"wrote {path}" if path in old else f"{path} is up to date")
