"""`rerank bias`: how much a judge's answers depend on where it is shown what."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rerank import printing


def bias(
    recipe: Annotated[Path, typer.Argument(help="A recipe, or a folder with a recipe.toml.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, as in limit=20.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Pairs, or orders of a window, a query.")] = 10,
    window: Annotated[int, typer.Option(help="Documents in a window.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Ask about the same documents in other orders; say how far the answers agree."""
    from rerank.bias import examine
    from rerank.recipes import read_recipe
    from rerank.runs import folder_of

    path = recipe / "recipe.toml" if recipe.is_dir() else recipe
    key = os.environ.get("OPENAI_API_KEY")
    found = examine(read_recipe(path, changes or ()), folder_of(path), samples, window, key)
    printing.show(found if as_json else "\n".join(_report(*item) for item in found.items()))


def _report(dataset: str, found: Mapping[str, Any]) -> str:
    """The findings as lines for a person, each beside what it would be without bias."""
    rows = [f"{dataset}: {found['queries']} queries, {found['calls']} calls"]
    if "pairs" in found:
        rows += [
            f"  both orders of a pair agree   {found['agree']:7.1%}   100 %",
            f"  one of them is a draw         {found['draws']:7.1%}",
            f"  the first is preferred        {found['first']:7.1%}    50 %",
        ]
    elif "tau" in found:
        rows += [
            f"  Kendall's tau of two answers  {found['tau']:7.3f}   1",
            f"  answers that are as shown     {found['as_shown']:7.1%}   about 0 %",
            f"  places gained, by slot        {_slots(found['gain_by_slot'], '+.1f')}   0 each",
        ]
    else:
        rows += [
            f"  two answers pick the same     {found['agree']:7.1%}   100 %",
            f"  answers that pick nothing     {found['draws']:7.1%}",
            f"  picked, by slot               {_slots(found['picked_by_slot'], '.1%')}   equal",
        ]
    bad = {status: count for status, count in found["answers"].items() if status != "ok" and count}
    return "\n".join([*rows, *(f"  {status}: {count} answers" for status, count in bad.items())])


def _slots(values: Sequence[float], form: str) -> str:
    return " ".join(format(value, form) for value in values)
