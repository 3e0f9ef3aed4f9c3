"""`rerank train`: from a training recipe to a folder with a model that reranks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rerank import printing
from rerank.markdown import markdown


def train(
    recipe: Annotated[Path, typer.Argument(help="A training recipe.", metavar="RECIPE")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a key, as in data.docs=10.", metavar="KEY=VALUE"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The model's folder; else RECIPE's name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Train a reranker; the same command again resumes. Losses are in OUT/train.jsonl."""
    from rerank.train import read_training
    from rerank.train import train as trained

    wanted = read_training(recipe, changes or ())
    folder = out or recipe.with_suffix("")
    with printing.progress() as progress:
        result = trained(wanted, folder, progress)
    printing.say(f"wrote {folder}, the weights of step {result['kept']}")
    printing.show(result if as_json else _table(result))


def _table(result: Mapping[str, Any]) -> str:
    measured = result["validation"]
    rows: list[Sequence[str]] = [["steps", "tokens", "seconds", *measured]]
    counts = f"{result['recipe']['steps']:,}", f"{result['tokens']:,}", f"{result['seconds']:,}"
    rows.append([*counts, *(f"{value:.4f}" for value in measured.values())])
    return markdown(rows)
