"""`rerank suites`: the yardsticks that ship, what each is made of, and what to beware of.

What a suite says is in its file; here it is listed. Nothing is loaded.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rerank import printing
from rerank.markdown import markdown

if TYPE_CHECKING:
    from rerank.recipes.suites import Entry, Suite

app = typer.Typer(invoke_without_command=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


@app.callback()
def suites(context: typer.Context, as_json: Json = False) -> None:
    """List the suites that ship: datasets, depth, measures, licences, traps. `show` has it all."""
    if context.invoked_subcommand:
        return
    from rerank import files
    from rerank.recipes.suites import read_suite

    found = {name: read_suite(name) for name in files.names("suites")}
    if as_json:
        printing.show({name: suite.model_dump(mode="json") for name, suite in found.items()})
        return
    head = ["suite", "datasets", "pinned", "depth", "traps", "measures", "licences"]
    printing.columns([head, *(_row(name, suite) for name, suite in found.items())])


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A suite of ours, or a TOML file.")],
    as_json: Json = False,
) -> None:
    """Print a suite: its datasets, where they are, what BM25 reaches on them, their traps."""
    from rerank.recipes.suites import read_suite

    suite = read_suite(name)
    printing.show(suite.model_dump(mode="json") if as_json else _report(name, suite))


def _row(name: str, suite: "Suite") -> list[str]:
    pinned = sum(not entry.loose for entry in suite.datasets)
    licences = dict.fromkeys(_licence(entry).partition(" (")[0] for entry in suite.datasets)
    traps = len(suite.traps) + sum(len(entry.traps) for entry in suite.datasets)
    counts = map(str, (len(suite.datasets), pinned, suite.depth, traps))
    return [name, *counts, ", ".join(_measures(suite)), ", ".join(licences)]


def _report(name: str, suite: "Suite") -> str:
    facts = {
        "about": suite.about,
        "source": suite.source,
        "measures": ", ".join(_measures(suite)),
        "depth": str(suite.depth),
        "licence": _licence(suite.datasets[0]) if _one_licence(suite) else "",
        "bm25": "; ".join(dict.fromkeys(e.bm25_source for e in suite.datasets if e.bm25_source)),
    }
    said = [f"{key:9} {text}" for key, text in {"suite": name, **facts}.items() if text]
    return "\n".join(
        [
            *said,
            "",
            markdown(_table(suite), texts=2 if _one_licence(suite) else 3),
            *_warnings(suite),
        ]
    )


def _table(suite: "Suite") -> list[list[str]]:
    known = list(dict.fromkeys(measure for entry in suite.datasets for measure in entry.bm25))
    one = _one_licence(suite)
    head = ["dataset", "source", *(() if one else ("licence",)), *(f"bm25 {m}" for m in known)]
    rows = [
        [*_named(entry), *(() if one else (_licence(entry),)), *_values(entry.bm25, known)]
        for entry in suite.datasets
    ]
    return [head, *rows]


def _named(entry: "Entry") -> list[str]:
    subset = f" {entry.subset}" if entry.subset else ""
    return [entry.label, f"{entry.source}{subset}"]


def _one_licence(suite: "Suite") -> bool:
    return len({_licence(entry) for entry in suite.datasets}) == 1


def _licence(entry: "Entry") -> str:
    return entry.licence or "not given"


def _values(bm25: Mapping[str, Any], known: list[str]) -> list[str]:
    return [f"{bm25[measure]:.4f}" if measure in bm25 else "-" for measure in known]


def _warnings(suite: "Suite") -> list[str]:
    """What to beware of, of the whole and of each dataset, and what is not pinned and why."""
    lines = [f"trap: {trap}" for trap in suite.traps]
    for entry in suite.datasets:
        lines += [f"trap, {entry.label}: {trap}" for trap in entry.traps]
    for why in dict.fromkeys(entry.unpinned for entry in suite.datasets if entry.unpinned):
        of = ", ".join(e.label for e in suite.datasets if e.unpinned == why)
        lines.append(f"not pinned, {of}: {why}")
    return lines


def _measures(suite: "Suite") -> list[str]:
    """As they will be named: with the level from which a grade counts as relevant."""
    from rerank.tasks import measures_of

    return list(dict.fromkeys(m for entry in suite.datasets for m in measures_of(suite, entry)))
