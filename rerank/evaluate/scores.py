"""What a run is worth: every query of the qrels counts, and nothing is left out of a mean.

Law: the values equal trec_eval's (9.0, with -c) for every measure that it has, whatever the ties.
This module knows nothing of files, tables or significance.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import TypeAlias

from rerank.errors import InputError
from rerank.evaluate import gains, precedence, screening
from rerank.evaluate.measures import Measure, parse
from rerank.evaluate.ranks import Array, Ranks, Ties, condensed, ranks
from rerank.records import Qrels, Run

Formula: TypeAlias = Callable[[Ranks, Measure], Array]
FORMULAS: Mapping[str, Formula] = {
    "ndcg": gains.ndcg,
    "ndcg_burges": gains.ndcg_burges,
    "precision": gains.precision,
    "recall": gains.recall,
    "r-precision": gains.r_precision,
    "judged": gains.judged,
    "rbp": gains.rbp,
    "map": precedence.average_precision,
    "mrr": precedence.reciprocal_rank,
    "success": precedence.success,
    "bpref": precedence.bpref,
    "err": precedence.err,
    "last_rel": screening.last_relevant,
    "wss": screening.work_saved,
    "recall%": screening.recall_of_share,
}


@dataclass(frozen=True, slots=True)
class Scores:
    """Unrounded values by canonical measure name (`ndcg@10`), as means and query by query.

    `missing` are queries of the qrels that the run has no document for: they count, as 0.
    `unjudged` are queries of the run that the qrels lack: they do not count.
    """

    mean: dict[str, float]
    per_query: dict[str, dict[str, float]]
    missing: tuple[str, ...]
    unjudged: tuple[str, ...]


def evaluate(qrels: Qrels, run: Run, measures: Sequence[str], ties: Ties = "ids") -> Scores:
    """Score every query of the qrels by each measure, as `trec_eval -c` does, and average.

    A query without a positive judgment scores 0 and counts. A negative grade is no judgment. What
    becomes of equal scores, `ties` says: "ids" is trec_eval's rule; "file" keeps the order of the
    run; "expected" is the mean over all orders, "best" and "worst" the ends of what they can give.
    Scores and grades must be finite and whole numbers respectively, else InputError. Needs the
    extra `eval`; safe to call from threads.
    """
    asked = [parse(name) for name in measures]
    if not qrels:
        raise InputError("there are no relevance judgments to score against")
    found = ranks(qrels, run, ties)
    per_query = {
        str(measure): dict(zip(qrels, _values(found, measure), strict=True)) for measure in asked
    }
    return Scores(
        mean={name: fsum(values.values()) / len(qrels) for name, values in per_query.items()},
        per_query=per_query,
        missing=tuple(query for query in qrels if not run.get(query)),
        unjudged=tuple(query for query in run if query not in qrels),
    )


def _values(found: Ranks, measure: Measure) -> list[float]:
    found = condensed(found) if measure.condensed else found
    return list(FORMULAS[measure.kind](found, measure).tolist())
