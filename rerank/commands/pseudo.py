"""`rerank pseudo`: training data from corpora alone, without a query or a label."""

from pathlib import Path
from typing import Annotated

import typer

from rerank import printing


def pseudo(
    recipe: Annotated[Path, typer.Argument(help="A recipe of pseudo-queries.", metavar="RECIPE")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Candidates, JSONL; .gz too.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a key, as in queries=100.", metavar="KEY=VALUE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Make training data of corpora: pseudo-queries, candidates, and a teacher's scores."""
    from rerank import files
    from rerank.train.pseudo import pseudo as made
    from rerank.train.pseudo import read_pseudo

    wanted = read_pseudo(recipe, changes or ())
    files.refuse_unwritable(out if out.is_dir() else files.part_of(out))
    counts = made(wanted, out)
    printing.say(f"wrote {out}")
    printing.show(counts if as_json else "\n".join(f"{n:,} {what}" for what, n in counts.items()))
