"""A reranker teaches its retriever: the query's vector moves until it ranks as the reranker did.

    1. towards a scorer's scores:   KL(softmax(scores) || softmax(s)), s = a (q . D)
    2. towards a reranker's order:  sum over i above j of log(1 + exp(s_j - s_i)) / (i + j)

with i and j as places from 1, and `a` such that the query's scores first spread half as far as the
teacher's. Adam, from the query's own vector. Documents and index stay as they are. FIRST (Reddy et
al. 2024, arXiv:2406.15657, section on relevance feedback); the first step alone is ReFIT's.

Runs and vectors in, vectors out: no model is asked here.
"""

from collections.abc import Callable, Mapping, Sequence
from time import thread_time
from typing import Any

from rerank.errors import InputError, extra
from rerank.recipes.stages import FeedbackOptions
from rerank.records import Query, Run
from rerank.retrieve.dense import Dense

DECAYS = (0.9, 0.999)  # Adam's
FAR = 300.0  # below the best score: how much less than that a number of 64 bits cannot tell


class Teacher:
    """Runs that teach a retriever; `record` says how many queries learned, and how fast."""

    def __init__(
        self, dense: Dense, order: Run | None, scores: Run | None, options: FeedbackOptions
    ) -> None:
        self._dense, self._order, self._scores = dense, order or {}, scores or {}
        self._options = options
        self._places = {doc: place for place, doc in enumerate(dense.ids)}
        self.record: dict[str, Any] = {}

    def moved(self, queries: Sequence[Query]) -> Any:
        """A row for each query; one that nobody teaches stays where it is."""
        asked = self._dense.embedded(queries).copy()
        begun = thread_time()
        learning = [n for n, q in enumerate(queries) if q.id in self._order or q.id in self._scores]
        for row in learning:
            asked[row] = self._moved(queries[row].id, asked[row])
        seconds = thread_time() - begun
        each = round(1000 * seconds / max(1, len(learning)), 1)
        self.record = {"queries_taught": len(learning), "cpu_milliseconds_each": each}
        return asked

    def _moved(self, query: str, vector: Any) -> Any:
        """Both steps; a step without a teacher is none. The vector stays as long as it was."""
        np, o = extra("numpy", "eval"), self._options
        scored = _best(self._scores.get(query, {}), o.top)
        ranked = _best(self._order.get(query, {}), o.top)
        moved = vector.astype(np.float64)
        if scored:
            scores = np.array([*scored.values()])
            docs = self._vectors(scored)
            moved = towards_scores(moved, docs, scores, o.scores_rate, o.scores_steps)
        if ranked:
            moved = towards_order(moved, self._vectors(ranked), o.order_rate, o.order_steps)
        length = np.linalg.norm(moved)
        return moved * (np.linalg.norm(vector) / length if length else 1)

    def _vectors(self, docs: Mapping[str, float]) -> Any:
        if unknown := [doc for doc in docs if doc not in self._places]:
            raise InputError(f"feedback: document {unknown[0]!r} is not in the corpus")
        np = extra("numpy", "eval")
        return self._dense.vectors.read([self._places[doc] for doc in docs]).astype(np.float64)


def _best(scores: Mapping[str, float], top: int) -> dict[str, float]:
    best = sorted(scores, key=scores.__getitem__, reverse=True)[:top]
    return {doc: scores[doc] for doc in best}


def towards_scores(query: Any, docs: Any, scores: Any, rate: float, steps: int) -> Any:
    """Step 1; documents of which all score the same teach nothing."""
    sharp = _sharpness(query, docs, scores.max() - scores.min())
    target = _softmax(scores)

    def slope(q: Any) -> Any:
        return sharp * ((_softmax(sharp * (docs @ q)) - target) @ docs)

    return _descended(query, slope, rate, steps) if sharp else query


def towards_order(query: Any, docs: Any, rate: float, steps: int) -> Any:
    """Step 2; `docs` stand best first."""
    np = extra("numpy", "eval")
    sharp = _sharpness(query, docs, float(len(docs) - 1))
    places = np.arange(1, len(docs) + 1)
    weights = np.triu(1 / (places[:, None] + places), 1)

    def slope(q: Any) -> Any:
        scores = sharp * (docs @ q)
        odds = np.exp(np.maximum(scores - scores.max(), -FAR))
        shares = weights / (odds[:, None] + odds)
        return sharp * ((odds * shares.sum(0) - shares @ odds) @ docs)

    return _descended(query, slope, rate, steps) if sharp else query


def _sharpness(query: Any, docs: Any, spread: float) -> float:
    """Half of how far the teacher's scores spread, for each unit that the query's do."""
    own = docs @ query
    found = float(own.max() - own.min())
    return spread / found / 2 if found > 0 else 0.0


def _softmax(scores: Any) -> Any:
    np = extra("numpy", "eval")
    shares = np.exp(scores - scores.max())
    return shares / shares.sum()


def _descended(start: Any, slope: Callable[[Any], Any], rate: float, steps: int) -> Any:
    """Where Adam gets to from `start` (Kingma & Ba 2015)."""
    np = extra("numpy", "eval")
    first, second = DECAYS
    at, mean, square = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for step in range(1, steps + 1):
        found = slope(at)
        mean += (1 - first) * (found - mean)
        square += (1 - second) * (found * found - square)
        size = np.sqrt(square / (1 - second**step)) + 1e-8
        at -= rate * mean / (1 - first**step) / size
    return at
