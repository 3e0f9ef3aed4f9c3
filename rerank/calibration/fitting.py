"""Fit a mapping to judged scores, and measure it on the queries that it has not seen.

numpy is imported where it is needed. Folds are of whole queries: documents of one query in both
halves would flatter a mapping that depends on the query.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from rerank.calibration.mappings import Adapter, Isotonic, Mapping, Platt
from rerank.calibration.reliability import Reliability, reliability
from rerank.calibration.vectors import query_vectors
from rerank.errors import InputError, UsageError, extra
from rerank.records import Qrels, Query, Run

ENCODER = "all-MiniLM-L6-v2"
FOLDS = 5
DIMENSIONS = 8
"""How many directions of the queries' vectors an adapter may use."""

FLATTEST = 0.05
"""The least share of the typical slope that a query's own may fall to."""

PENALTIES = (0.1, 1.0, 10.0, 100.0)
"""How strongly an adapter is held to one curve for all queries, in queries' worth of evidence."""

Array: TypeAlias = Any
Encode: TypeAlias = Callable[[Sequence[str]], Array]


@dataclass(frozen=True)
class Judged:
    """A query's documents as they were scored and judged."""

    query: str
    scores: Sequence[float]
    relevant: Sequence[bool]


def judged(
    run: Run, qrels: Qrels, queries: Dictionary[str, Query], relevant: int = 1
) -> list[Judged]:
    """A run's scores with their judgments; what nobody judged counts as not relevant."""
    found = [
        Judged(
            queries[name].text if name in queries else name,
            list(scores.values()),
            [qrels[name].get(doc, 0) >= relevant for doc in scores],
        )
        for name, scores in run.items()
        if name in qrels and scores
    ]
    if found and all(sorted(one.scores) == [*range(1, len(one.scores) + 1)] for one in found):
        raise InputError("the scores of this run are ranks, n to 1: they say nothing of relevance")
    return found


def fit(given: Sequence[Judged], kind: str = "adapter", encode: Encode | None = None,
        encoder: str = ENCODER) -> tuple[Mapping, Reliability]:  # fmt: skip
    """The mapping of that kind, and its reliability on queries that it was not fitted on."""
    if kind not in FITS:
        raise UsageError(f"no mapping {kind!r}; there are: {', '.join(FITS)}")
    flags = [flag for one in given for flag in one.relevant]
    if len(given) < 2 * FOLDS or not any(flags) or all(flags):
        raise InputError(
            f"{len(given)} judged queries, {sum(flags)} of {len(flags)} documents relevant:"
            f" a mapping needs {2 * FOLDS} queries and documents of both kinds"
        )
    np = extra("numpy", "eval")
    vectors = np.zeros((len(given), 0))
    if kind == "adapter":
        encode = encode or partial(query_vectors, encoder)
        vectors = np.asarray(encode([one.query for one in given]), dtype=float)
    fitted = partial(FITS[kind], encoder=encoder)
    seen = []
    for inside, outside in folds(len(given)):
        mapping = fitted([given[i] for i in inside], vectors[inside])
        seen += _applied(mapping, [given[i] for i in outside], vectors[outside])
    return fitted(list(given), vectors), reliability(len(given), seen)


def folds(count: int) -> Iterator[tuple[list[int], list[int]]]:
    """Each fifth of the queries once outside, every fifth query to the same."""
    for fold in range(FOLDS):
        outside = [*range(fold, count, FOLDS)]
        yield [i for i in range(count) if i % FOLDS != fold], outside


def _applied(mapping: Mapping, given: Sequence[Judged], vectors: Array) -> list[tuple[float, bool]]:
    return [
        (mapping.probability(score, vector), bool(flag))
        for one, vector in zip(given, vectors.tolist(), strict=True)
        for score, flag in zip(one.scores, one.relevant, strict=True)
    ]


def _table(given: Sequence[Judged]) -> tuple[Array, Array, Array]:
    """Scores, zeros and ones, and whose query each row is."""
    np = extra("numpy", "eval")
    scores = np.array([score for one in given for score in one.scores], dtype=float)
    flags = np.array([flag for one in given for flag in one.relevant], dtype=float)
    owners = np.repeat(np.arange(len(given)), [len(one.scores) for one in given])
    return scores, flags, owners


def fit_platt(given: Sequence[Judged], vectors: Array, encoder: str) -> Platt:
    scores, flags, _ = _table(given)
    slope, offset = _curve(scores, flags)
    return Platt(slope=slope, offset=offset)


def fit_isotonic(given: Sequence[Judged], vectors: Array, encoder: str) -> Isotonic:
    """Pool adjacent violators; each block is a corner at its mean score."""
    np = extra("numpy", "eval")
    scores, flags, _ = _table(given)
    values, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    hits = np.bincount(places, weights=flags)
    blocks: list[tuple[float, float, float]] = []  # count, hits, sum of scores
    for value, count, hit in zip(values.tolist(), counts.tolist(), hits.tolist(), strict=True):
        blocks.append((count, hit, value * count))
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][0] >= blocks[-1][1] * blocks[-2][0]:
            (many, hits, total), (more, found, further) = blocks.pop(), blocks.pop()
            blocks.append((many + more, hits + found, total + further))
    least = 0.5 / len(flags)  # nothing is certain that was seen so many times
    return Isotonic(
        scores=[total / count for count, _, total in blocks],
        probabilities=[min(max(hit / count, least), 1 - least) for count, hit, _ in blocks],
    )


def fit_adapter(given: Sequence[Judged], vectors: Array, encoder: str) -> Adapter:
    """The penalty is the one that serves unseen queries best."""
    tried = {penalty: _held_out(given, vectors, penalty) for penalty in PENALTIES}
    best = min(tried, key=tried.__getitem__)
    return _adapter(given, vectors, best, encoder)


def _held_out(given: Sequence[Judged], vectors: Array, penalty: float) -> float:
    """The log loss on queries that an adapter with this penalty has not seen."""
    seen = []
    for inside, outside in folds(len(given)):
        mapping = _adapter([given[i] for i in inside], vectors[inside], penalty, "")
        seen += _applied(mapping, [given[i] for i in outside], vectors[outside])
    return reliability(len(given), seen).log_loss


def _directions(vectors: Array) -> Array:
    """The main ones in which queries differ; where they differ by rounding alone is none."""
    np = extra("numpy", "eval")
    _, sizes, axes = np.linalg.svd(vectors, full_matrices=False)
    return axes[sizes > 1e-9 * sizes.max(initial=0.0)][:DIMENSIONS]


def _adapter(given: Sequence[Judged], vectors: Array, penalty: float, encoder: str) -> Adapter:
    """A logistic regression on the score, the query's main directions, and their products."""
    np = extra("numpy", "eval")
    scores, flags, owners = _table(given)
    middle, spread = scores.mean(), scores.std() or 1.0
    mean = vectors.mean(0)
    directions = _directions(vectors - mean)
    queries = (vectors - mean) @ directions.T
    scale = queries.std(0)
    scale[scale == 0] = 1.0
    z, x = (scores - middle) / spread, (queries / scale)[owners]
    features = np.column_stack([z, np.ones_like(z), z[:, None] * x, x])
    mean_size = len(scores) / len(given)
    held = np.full(features.shape[1], penalty * mean_size)
    held[:2] = 1e-6
    weights = _logistic(features, flags, held)
    own = len(directions)
    slopes = weights[2 : 2 + own] / scale @ directions / spread
    offsets = weights[2 + own :] / scale @ directions - slopes * middle
    typical = float(weights[0] / spread)
    return Adapter(
        encoder=encoder,
        slope=float(typical - slopes @ mean),
        least_slope=max(FLATTEST * typical, 1e-6),
        offset=float(weights[1] - typical * middle - offsets @ mean),
        slopes=slopes.tolist(),
        offsets=offsets.tolist(),
    )


def _curve(scores: Array, flags: Array) -> tuple[float, float]:
    """Platt's two numbers, his targets a little away from 0 and 1."""
    np = extra("numpy", "eval")
    hits = flags.sum()
    high, low = (hits + 1) / (hits + 2), 1 / (len(flags) - hits + 2)
    middle, spread = scores.mean(), scores.std() or 1.0
    features = np.column_stack([(scores - middle) / spread, np.ones_like(scores)])
    targets = np.where(flags > 0, high, low)
    slope, offset = _logistic(features, targets, np.full(2, 1e-6)).tolist()
    rising = max(slope, 1e-6)  # scores that fall with relevance map to one probability
    return rising / spread, offset - rising * middle / spread


def _logistic(features: Array, targets: Array, penalty: Array) -> Array:
    """The weights of least penalised log loss, by Newton's method; the problem is convex."""
    np = extra("numpy", "eval")
    weights = np.zeros(features.shape[1])

    def loss(w: Array) -> float:
        z = features @ w
        return float((np.logaddexp(0, z) - targets * z).sum() + (penalty * w * w).sum() / 2)

    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(features @ weights, -500, 500)))
        slope = features.T @ (p - targets) + penalty * weights
        bend = features.T @ (features * (p * (1 - p))[:, None]) + np.diag(penalty + 1e-9)
        step, size, before = np.linalg.solve(bend, slope), 1.0, loss(weights)
        while loss(weights - size * step) > before and size > 1e-8:
            size /= 2
        weights = weights - size * step
        if np.abs(size * step).max() < 1e-9:
            break
    return weights


FITS: dict[str, Callable[..., Mapping]] = {
    "adapter": fit_adapter,
    "platt": fit_platt,
    "isotonic": fit_isotonic,
}
"""The mappings by their names."""
