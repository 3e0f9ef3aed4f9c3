"""What the command line prints: results to stdout, everything else to stderr."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rerank.markdown import markdown

if TYPE_CHECKING:
    from rerank.cost import Cost
    from rerank.evaluate import Scores
    from rerank.pipeline import Progress


def say(text: str) -> None:
    """A line for the person, not for the pipe."""
    print(f"rerank: {text}", file=sys.stderr)


def show(what: Any) -> None:
    """JSON as JSON, lines as lines, text as it is."""
    if isinstance(what, str):
        print(what, end="" if what.endswith("\n") else "\n")
    else:
        print(json.dumps(what, indent=2, ensure_ascii=False))


def scores(found: Mapping[str, "Scores"], per_query: bool, as_json: bool) -> None:
    """Scores by run: means, or a row for each query."""
    if as_json:
        show(
            {
                run: {**s.mean, **({"per_query": s.per_query} if per_query else {})}
                for run, s in found.items()
            }
        )
        return
    names = list(next(iter(found.values())).mean)
    rows = [["run", *(["query"] if per_query else []), *names]]
    for run, s in found.items():
        if per_query:
            for query in s.per_query[names[0]]:
                rows.append([run, query, *(f"{s.per_query[n][query]:.4f}" for n in names)])
        rows.append([run, *(["all"] if per_query else []), *(f"{s.mean[n]:.4f}" for n in names)])
    show(markdown(rows))


def costs(found: Mapping[str, Mapping[str, "Cost"]], as_json: bool) -> None:
    """What runs would cost, dataset by dataset."""
    if as_json:
        show({run: {name: asdict(cost) for name, cost in by.items()} for run, by in found.items()})
        return
    head = [
        "run",
        "dataset",
        "queries",
        "calls",
        "slots",
        "rounds",
        "~prompt tokens",
        "<= new tokens",
    ]
    rows = [
        [
            run,
            name,
            *(f"{n:,}" for n in (c.queries, c.calls, c.slots)),
            f"{c.rounds:.1f}",
            *(f"{n:,}" for n in (c.prompt_tokens, c.completion_tokens)),
        ]
        for run, by in found.items()
        for name, c in by.items()
    ]
    show(markdown([head, *rows]))


@contextmanager
def progress() -> Iterator["Progress"]:
    """A bar for each dataset, on stderr, and only on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def advance(name: str, done: int, whole: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=whole)
            bars.update(tasks[name], completed=done)

        yield advance
