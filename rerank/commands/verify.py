"""`rerank verify`: whether result.json says what the run file and the data say."""

from pathlib import Path
from typing import Annotated

import typer

from rerank import printing
from rerank.errors import InputError


def verify(
    folders: Annotated[list[Path], typer.Argument(help="Run folders.", metavar="RUN...")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="As the run was made, or where data are now: dataset=../there."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Compute the numbers and hashes of runs again; exit code 4 where one differs."""
    from rerank.pipeline.verify import verify as differences

    found = {str(folder): differences(folder, changes or ()) for folder in folders}
    if as_json:
        printing.show(found)
    else:
        lines = [
            f"{folder}: {line}" for folder, rows in found.items() for line in rows or ["verified"]
        ]
        printing.show("\n".join(lines))
    if any(found.values()):
        raise typer.Exit(InputError.exit_code)
