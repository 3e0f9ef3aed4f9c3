"""Several runs become one: by rank (RRF, Borda) or by score (CombSUM, CombMNZ).

    rrf       sum of weight / (k + rank)                    Cormack, Clarke & Buettcher 2009
    borda     sum of weight * points; what a run lacks shares the points that it left over
                                                            Aslam & Montague 2001
    combsum   sum of weight * normalised score              Fox & Shaw 1994
    combmnz   combsum times the runs that have the document Lee 1997

Scores are normalised query by query: "min-max" to [0, 1]; "max" by the highest; "sum" moves the
lowest to 0 and the sum to 1; "zmuv" to mean 0 and variance 1; "none" leaves them. A document that a
run lacks gets 0 there, and under zmuv what the worst that it has got. Equal sums keep the order of
the first run that has the documents.

Pure: runs in, a run out. ranx computes the same (the tests compare) and takes ten seconds to start.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from statistics import fmean, pstdev

from rerank.errors import UsageError
from rerank.recipes.stages import FusionOptions
from rerank.records import Run

Scores = Mapping[str, float]
STEPS = 10  # of which a fitted weight is so many


def fused(runs: Sequence[Run], options: FusionOptions, depth: int | None = None) -> Run:
    """One run of all queries that any of the runs has."""
    weights = options.weights or (1.0,) * len(runs)
    if len(weights) != len(runs):
        raise UsageError(f"fusion.weights has {len(weights)} numbers for {len(runs)} runs")
    queries = dict.fromkeys(query for run in runs for query in run)
    return {
        query: _cut(_one([run.get(query, {}) for run in runs], weights, options), depth)
        for query in queries
    }


def fitted(
    runs: Sequence[Run], options: FusionOptions, value: Callable[[Run], float]
) -> tuple[float, ...]:
    """The weights, tenths that sum to 1, whose fused run has the highest value; ties: the evenest.

    The value must be of training queries: weights that saw the judgments of the queries that they
    are tested on prove nothing.
    """
    grid = [steps for steps in product(range(STEPS + 1), repeat=len(runs)) if sum(steps) == STEPS]
    grid.sort(key=lambda steps: sum(step * step for step in steps))
    shares = [tuple(step / STEPS for step in steps) for steps in grid]
    return max(
        shares, key=lambda share: value(fused(runs, options.model_copy(update={"weights": share})))
    )


def _one(lists: Sequence[Scores], weights: Sequence[float], options: FusionOptions) -> Scores:
    """The fused scores of one query's documents."""
    docs = list(dict.fromkeys(doc for scores in lists for doc in _sorted(scores)))
    total = dict.fromkeys(docs, 0.0)
    for scores, weight in zip(lists, weights, strict=True):
        given, absent = _given(scores, len(docs), options)
        for doc in docs:
            total[doc] += weight * given.get(doc, absent)
    if options.method == "combmnz":
        return {doc: total[doc] * sum(doc in scores for scores in lists) for doc in docs}
    return total


def _given(scores: Scores, count: int, options: FusionOptions) -> tuple[Scores, float]:
    """What one run gives to each of its documents, and to one that it lacks."""
    ranked = _sorted(scores)
    if options.method == "rrf":
        return {doc: 1 / (options.k + rank) for rank, doc in enumerate(ranked, 1)}, 0.0
    if options.method == "borda":
        left = count - len(ranked)
        return {doc: float(count - place) for place, doc in enumerate(ranked)}, (left + 1) / 2
    return _normalised(scores, options.norm)


def _normalised(scores: Scores, norm: str) -> tuple[Scores, float]:
    if not scores or norm == "none":
        return scores, 0.0
    values = list(scores.values())
    low, high, mean = min(values), max(values), fmean(values)
    shift, scale = {
        "min-max": (low, high - low),
        "max": (0.0, max(high, 1e-9)),
        "sum": (low, sum(value - low for value in values)),
        "zmuv": (mean, pstdev(values)),
    }[norm]
    if low == high or not scale:  # as good as the best where 1 is the best, else as the mean
        return dict.fromkeys(scores, 0.0 if norm == "zmuv" else 1.0), 0.0
    found = {doc: (score - shift) / scale for doc, score in scores.items()}
    return found, min(found.values()) if norm == "zmuv" else 0.0


def _sorted(scores: Scores) -> list[str]:
    return sorted(scores, key=scores.__getitem__, reverse=True)


def _cut(scores: Scores, depth: int | None) -> dict[str, float]:
    return {doc: scores[doc] for doc in _sorted(scores)[:depth]}
