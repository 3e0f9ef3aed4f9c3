"""`rerank bench`: how fast a recipe's model and engine are here, and what the whole will take."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rerank import printing
from rerank.markdown import markdown


def bench(
    recipe: Annotated[Path, typer.Argument(help="A recipe, or a folder with a recipe.toml.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, as in engine=vllm.")
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="How many queries are timed.")] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Time some of a recipe's queries; say what all of them would take."""
    from rerank.pipeline.forecast import forecast
    from rerank.recipes import read_recipe

    sys.path.append(str(Path.cwd()))
    path = recipe / "recipe.toml" if recipe.is_dir() else recipe
    key = os.environ.get("OPENAI_API_KEY")
    with printing.progress() as progress:
        found = forecast(read_recipe(path, changes or ()), queries, key, progress)
    if as_json:
        printing.show(found)
        return
    sample = found["sample"]
    printing.profile({f"{sample['queries']} queries": sample})
    printing.show(_table(found["datasets"]))
    printing.show(
        f"Loading took {found['loading_seconds']:,.1f} s; all in all about"
        f" {duration(found['seconds'])}, if the whole keeps the engine as busy as the sample."
    )


def _table(datasets: Mapping[str, Mapping[str, Any]]) -> str:
    rows: list[Sequence[str]] = [["dataset", "queries", "calls", "about"]]
    for name, part in datasets.items():
        counts = f"{part['queries']:,}", f"{part['calls']:,}"
        rows.append([name, *counts, duration(part["seconds"])])
    return markdown(rows)


def duration(seconds: float) -> str:
    """Seconds as a person says them: `48 s`, `12 min 5 s`, `3 h 20 min`."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{seconds:.1f} s"
