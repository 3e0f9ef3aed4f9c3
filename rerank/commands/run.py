"""`rerank run`: from recipes to run folders, and what they cost and gained.

Everything that can be wrong with any of the recipes is said before the first of them runs.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rerank import printing
from rerank.errors import DONE_WITH_FAILURES, STOPPED, EngineError, RerankError, UsageError

if TYPE_CHECKING:
    from rerank.recipes import Recipe


def run(
    recipes: Annotated[
        list[Path], typer.Argument(help="Recipes, or folders with one.", metavar="RECIPE")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a key, as in options.k=5.", metavar="KEY=VALUE"),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N queries.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it would cost; load no model.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write each run to OUT/NAME, not beside its recipe.")
    ] = None,
    profile: Annotated[bool, typer.Option(help="Say where the seconds went.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Retrieve, rerank, write the run and score it; the same command again resumes."""
    from rerank import pipeline
    from rerank.leaderboard import summary

    sys.path.append(str(Path.cwd()))  # for a strategy of the user's own, `module:function`
    changes = [*(changes or []), *([f"limit={limit}"] if limit else [])]
    plans = _plans(recipes, out, changes)
    if dry_run:
        costs = {}
        for folder, (path, recipe) in plans.items():
            with _naming(path, UsageError):
                costs[str(folder)] = pipeline.plan(recipe)
        printing.costs(costs, as_json)
        return
    results, key = {}, os.environ.get("OPENAI_API_KEY")
    for folder, (path, recipe) in plans.items():
        with (
            _stoppable(),
            _naming(path, UsageError, EngineError),
            printing.progress() as progress,
        ):
            results[str(folder)] = pipeline.run(recipe, folder, key, progress)
    printing.show(results if as_json else summary(results))
    if profile and not as_json:
        printing.profile({folder: result["cost"] for folder, result in results.items()})
    bad = [
        printing.failures(folder, cost["answers"], len(cost["failed_queries"]))
        for folder, cost in ((folder, result["cost"]) for folder, result in results.items())
    ]
    if any(bad):
        raise typer.Exit(DONE_WITH_FAILURES)


def _plans(
    paths: Sequence[Path], out: Path | None, changes: Sequence[str]
) -> dict[Path, tuple[Path, "Recipe"]]:
    """Each run folder's recipe, where it stands, once all are known to be able to work."""
    from rerank import pipeline
    from rerank.cost import warnings
    from rerank.recipes import read_recipe

    plans: dict[Path, tuple[Path, Recipe]] = {}
    for path in map(_recipe, paths):
        recipe = read_recipe(path, changes)
        with _naming(path, RerankError):
            depth = pipeline.check(recipe).depth
        for warning in warnings(recipe.row, depth, recipe.near):
            printing.say(f"{path}: {warning}")
        if (folder := _folder(path, out)) in plans:
            raise UsageError(f"{path} and {plans[folder][0]} would both be written to {folder}")
        plans[folder] = path, recipe
    return plans


@contextmanager
def _stoppable() -> Iterator[None]:
    """Where Ctrl-C loses nothing: what was answered is in the journal."""
    try:
        yield
    except KeyboardInterrupt:
        printing.say("stopped; the same command goes on from here")
        raise typer.Exit(STOPPED) from None


@contextmanager
def _naming(recipe: Path, *kinds: type[RerankError]) -> Iterator[None]:
    """Say in which recipe a mistake is that names no file itself."""
    try:
        yield
    except kinds as error:
        raise type(error)(f"{recipe}: {error}") from None


def _recipe(path: Path) -> Path:
    return path / "recipe.toml" if path.is_dir() else path


def _folder(recipe: Path, out: Path | None) -> Path:
    """Where a recipe's run goes, or a folder of its name in `out`."""
    from rerank.runs import folder_of

    named = folder_of(recipe)
    return out / named.resolve().name if out else named
