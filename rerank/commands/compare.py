"""`rerank compare`: which runs differ, by how much, and what difference the queries could show.

What differs is found in `evaluate.compare`; here it is asked for and printed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rerank import printing
from rerank.errors import UsageError
from rerank.markdown import markdown

if TYPE_CHECKING:
    from rerank.evaluate.compare import Comparison, Difference

HEAD = ("difference", "95 % interval", "effect", "p", "p (Holm)", "wins", "ties", "losses", "group")


def compare(
    run_files: Annotated[list[Path], typer.Argument(help="TREC runs, .gz too.", metavar="RUN...")],
    qrels: Annotated[Path, typer.Option(help="Judgments: BEIR tsv or TREC qrels.")],
    baseline: Annotated[Path, typer.Option(help="The run that the others are compared with.")],
    measures: Annotated[list[str] | None, typer.Option("-m", "--measure")] = None,
    ties: Annotated[
        Literal["auto", "file", "ids"],
        typer.Option(help="Equal scores: as the file has them, or by id as trec_eval."),
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Compare TREC runs with a baseline and with each other, query by query."""
    wanted = measures or ["ndcg@10"]
    found = _compared([*run_files, baseline], qrels, baseline, wanted, ties)
    if as_json:
        printing.show({name: _record(comparison) for name, comparison in found.items()})
    else:
        printing.show("\n".join(_report(name, comparison) for name, comparison in found.items()))


def _compared(
    paths: Sequence[Path],
    qrels: Path,
    baseline: Path,
    measures: Sequence[str],
    ties: Literal["auto", "file", "ids"],
) -> dict[str, "Comparison"]:
    from rerank.evaluate import parse
    from rerank.evaluate.compare import compare
    from rerank.scoring import score_files

    if less := [name for name in measures if parse(name).less_is_better]:
        raise UsageError(f"{less[0]}: less is better there; compare by one where more is")
    scores = {}
    for path, found, notes in score_files(list(dict.fromkeys(paths)), qrels, measures, ties):
        scores[str(path)] = found.per_query
        for note in notes:
            printing.say(f"{path}: {note}")
    return {
        name: compare({run: by[name] for run, by in scores.items()}, str(baseline))
        for name in map(str, map(parse, measures))
    }


def _report(name: str, comparison: "Comparison") -> str:
    best = sorted(comparison.means, key=lambda run: (-comparison.means[run], run))
    rows = [["run", name, *HEAD]]
    for run in best:
        cells = _cells(comparison.differences.get(run))
        rows.append([run, f"{comparison.means[run]:.4f}", *cells, comparison.groups[run]])
    found = {run: comparison.differences[run] for run in best if run in comparison.differences}
    moved = [["run", "queries that moved most"], *([run, _moved(d)] for run, d in found.items())]
    return f"{markdown(rows)}\n{markdown(moved, texts=2)}\n{_notes(comparison)}"


def _cells(found: "Difference | None") -> list[str]:
    if found is None:
        return ["baseline", *["-"] * (len(HEAD) - 2)]
    return [
        f"{found.mean:+.4f}",
        f"{found.low:+.4f} to {found.high:+.4f}",
        "-" if found.effect is None else f"{found.effect:+.2f}",
        f"{found.p:.4f}",
        f"{found.p_holm:.4f}",
        *map(str, (found.wins, found.ties, found.losses)),
    ]


def _moved(found: "Difference") -> str:
    return ", ".join(f"{m.query} {m.run - m.baseline:+.3f}" for m in found.moved) or "-"


def _notes(comparison: "Comparison") -> str:
    return (
        f"{comparison.queries} queries; {comparison.samples:,} samples, seed {comparison.seed}."
        " Interval: paired bootstrap. Effect: mean by standard deviation.\n"
        f"p: paired randomisation, by Holm in a family of {len(comparison.differences)}."
        " Runs that share no group differ (randomised Tukey HSD of all pairs, 5 %).\n"
        f"Minimum detectable difference: {comparison.detectable:.4f} (80 % power at 5 %,"
        f" for the median standard deviation of two runs' differences, {comparison.spread:.4f}).\n"
    )


def _record(comparison: "Comparison") -> dict[str, Any]:
    from dataclasses import asdict

    record = asdict(comparison)
    record["pairs"] = [{"runs": pair, "p": p} for pair, p in comparison.pairs.items()]
    for run, found in comparison.differences.items():
        record["differences"][run]["moved"] = [moved._asdict() for moved in found.moved]
    return record
