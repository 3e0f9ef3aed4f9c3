"""`rerank wire`: the boxed decoder, worked out again."""

from pathlib import Path
from typing import Annotated

import typer

from rerank import printing


def wire(
    folder: Annotated[Path, typer.Argument(help="Where the model goes.", metavar="FOLDER")],
    encoder: Annotated[
        str, typer.Option(help="Whose vocabulary and vectors it is made of.")
    ] = "all-MiniLM-L6-v2",
    layers: Annotated[int, typer.Option(help="Three find the answer, more can be taught.")] = 3,
    inner: Annotated[int, typer.Option(help="How wide its feed-forward layers are.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Make the boxed decoder: a language model that ranks, computed and not trained."""
    from rerank.train.wired import wire as made

    found = made(folder, encoder, layers, inner)
    said = f"{folder}: {found['parameters']:,} parameters, {found['tokens']:,} tokens"
    printing.show(found if as_json else said)
