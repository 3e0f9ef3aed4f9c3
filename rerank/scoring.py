"""Score run files that anyone made. What the numbers alone would hide is said beside them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from rerank.datasets import read_qrels, read_run
from rerank.errors import InputError
from rerank.evaluate import Scores, TieSpan, evaluate, tie_spans
from rerank.records import Qrels, Run
from rerank.runs import RUN

Ties = Literal["auto", "file", "ids"]


class Scored(NamedTuple):
    """A run file's scores, and a line for each thing that a reader should know about them."""

    path: Path
    scores: Scores
    notes: list[str]


def score_files(
    paths: Sequence[Path], qrels: Path, measures: Sequence[str], ties: Ties = "auto"
) -> Iterator[Scored]:
    """Score each run, a file or a folder with one; every query of the judgments counts.

    What becomes of equal scores: with `ties="file"` they keep the order of the file, with "ids"
    they go by document id, last first, as trec_eval has it. "auto" keeps the order of the file,
    which is what its author ranked, unless all ties stand in ascending order of their ids: such a
    file was sorted and ranks nothing there. Where the two differ in the fourth digit, or ties leave
    more than 0.01 open, a note says so.
    """
    yield from score_runs(paths, read_qrels(qrels), str(qrels), measures, ties)


def score_runs(
    paths: Sequence[Path], judged: Qrels, qrels: str, measures: Sequence[str], ties: Ties = "auto"
) -> Iterator[Scored]:
    """Score runs as `score_files` does, by judgments that have been read from `qrels`."""
    for path in paths:
        run = read_run(path / RUN if path.is_dir() else path)
        if run.keys().isdisjoint(judged):
            raise InputError.at(path, None, f"none of its {len(run)} queries is judged in {qrels}")
        by_file = evaluate(judged, run, measures, "file")
        if not (tied := _ties(run)):
            yield Scored(path, by_file, _absent(by_file))
            continue
        by_ids = evaluate(judged, run, measures)
        sorted_by_id = ties == "auto" and all(above < below for above, below in tied)
        chosen = by_ids if sorted_by_id or ties == "ids" else by_file
        spans = tie_spans(judged, run, measures)
        notes = _differences(by_file, by_ids, spans, len(tied))
        yield Scored(path, chosen, [*notes, *_absent(chosen)])


def _ties(run: Run) -> list[tuple[str, str]]:
    """The neighbours in a query's ranking that have the same score."""
    return [
        (above, below)
        for scores in run.values()
        if len(set(scores.values())) < len(scores)
        for above, below in pairwise(sorted(scores, key=scores.__getitem__, reverse=True))
        if scores[above] == scores[below]
    ]


def _differences(
    by_file: Scores, by_ids: Scores, spans: Mapping[str, TieSpan], tied: int
) -> list[str]:
    return [
        f"{tied} tied scores: {name} is {by_file.mean[name]:.4f} in the order of the file,"
        f" {by_ids.mean[name]:.4f} by document id (trec_eval), {span.expected:.4f} expected,"
        f" {span.worst:.4f} to {span.best:.4f} possible; see --ties"
        for name, span in spans.items()
        if f"{by_file.mean[name]:.4f}" != f"{by_ids.mean[name]:.4f}" or span.width > 0.01
    ]


def _absent(scores: Scores) -> list[str]:
    """Queries that only the judgments or only the run have."""
    kinds = ((scores.missing, "not in the run, score 0"), (scores.unjudged, "not judged, ignored"))
    return [
        f"{len(queries)} queries are {what}; the first is {queries[0]!r}"
        for queries, what in kinds
        if queries
    ]
