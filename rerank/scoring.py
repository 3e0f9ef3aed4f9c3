"""Score run files that anyone made. What the numbers alone would hide is said beside them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from rerank.datasets import read_qrels, read_run
from rerank.evaluate import Scores, evaluate, in_order
from rerank.records import Run

Ties = Literal["file", "ids"]
NOTICEABLE = 0.00005  # a difference in the fourth digit


class Scored(NamedTuple):
    """A run file's scores, and a line for each thing that a reader should know about them."""

    path: Path
    scores: Scores
    notes: list[str]


def score_files(
    paths: Sequence[Path], qrels: Path, measures: Sequence[str], ties: Ties = "file"
) -> Iterator[Scored]:
    """Score each run; every query of the judgments counts.

    Equal scores keep the order of the file, which is what its author ranked; with `ties="ids"`
    they are ordered by document id, last first, as trec_eval does. Where the two differ in the
    fourth digit, a note gives both.
    """
    judged = read_qrels(qrels)
    for path in paths:
        run = read_run(path)
        by_file, by_ids = evaluate(judged, in_order(run), measures), None
        if tied := _tied(run):
            by_ids = evaluate(judged, run, measures)
        chosen = by_ids if by_ids and ties == "ids" else by_file
        notes = _ties(by_file, by_ids, tied) if by_ids else []
        yield Scored(path, chosen, [*notes, *_absent(chosen)])


def _tied(run: Run) -> int:
    """How many documents have the score of another document of their query."""
    return sum(len(scores) - len(set(scores.values())) for scores in run.values())


def _ties(by_file: Scores, by_ids: Scores, tied: int) -> list[str]:
    return [
        f"{tied} tied scores: {name} is {value:.4f} in the order of the file,"
        f" {by_ids.mean[name]:.4f} by document id (trec_eval); see --ties"
        for name, value in by_file.mean.items()
        if abs(value - by_ids.mean[name]) > NOTICEABLE
    ]


def _absent(scores: Scores) -> list[str]:
    """Queries that only the judgments or only the run have."""
    kinds = ((scores.missing, "not in the run, score 0"), (scores.unjudged, "not judged, ignored"))
    return [
        f"{len(queries)} queries are {what}; the first is {queries[0]!r}"
        for queries, what in kinds
        if queries
    ]
