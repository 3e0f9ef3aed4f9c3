"""What equal scores leave open: the value that a measure is expected to have, and what it may be.

After McSherry & Najork, "Computing information retrieval performance measures efficiently in the
presence of tied scores" (ECIR 2008): a score ranks nothing among the documents that share it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rerank.evaluate.scores import evaluate
from rerank.records import Qrels, Run


class TieSpan(NamedTuple):
    """A mean over all orders of equal scores, and in the orders that are worst and best."""

    expected: float
    worst: float
    best: float

    @property
    def width(self) -> float:
        return abs(self.best - self.worst)


def tie_spans(qrels: Qrels, run: Run, measures: Sequence[str]) -> dict[str, TieSpan]:
    """Each measure's mean over the queries, as far as the scores of the run decide it."""
    found = [evaluate(qrels, run, measures, ties).mean for ties in ("expected", "worst", "best")]
    return {name: TieSpan(*(mean[name] for mean in found)) for name in found[0]}
