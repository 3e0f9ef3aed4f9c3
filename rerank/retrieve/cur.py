"""Search a corpus with a judge that rates one document at a time, at few ratings for each query.

Once, some anchor queries are rated with every document. A new query is then rated with a few
documents only, and taken as a mixture of the anchor queries that explains these ratings; the
mixture predicts the rest. What it puts highest is rated too, in as many rounds as one likes, and
everything that was rated and paid for is ranked by its rating.

Beside the anchor queries' ratings may stand what first stages score the documents for this query:
the mixture takes of each as much as explains the ratings, so it begins as a first stage and ends as
the judge.

ANNCUR (Yadav et al. 2022, arXiv:2210.12579) with one round of anchors, ADACUR (Yadav et al. 2023,
arXiv:2305.02996) with several. Their inverse fails where there are as many anchor documents as
anchor queries; a ridge in 64 bits does not. Ratings must be on an open scale (logits):
probabilities near 0 and 1 are no mixture of each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeVar

from rerank.errors import UsageError, extra
from rerank.questions import Asking, Rate, ask_all

T = TypeVar("T")
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
BESIDE = 5.0  # how long a row beside the anchor queries' is, in their mean length
HELD_OUT = 20  # anchor queries at most that choose the ridge


@dataclass(frozen=True, slots=True)
class Anchors:
    """Ratings of every document (columns) for every anchor query (rows)."""

    ratings: Any
    ridge: float = 1e-2

    def predicted(self, places: Sequence[int], values: Sequence[float]) -> Any:
        """The rating of every document, but for a constant, from those at some places."""
        return _predicted(self._rows(()), places, values, self.ridge)

    def search(
        self,
        docs: Sequence[T],
        start: Sequence[int],
        anchors: int,
        budget: int,
        rounds: int = 1,
        beside: Sequence[Any] = (),
    ) -> Asking[list[T]]:
        """Every document, best first: those that were rated, and the others as predicted.

        `anchors` of the `budget` are rated in `rounds`, the first ones in the order of `start`
        (of a first stage, or shuffled), then what the mixture so far puts highest. Each row
        `beside` has a score for every document.
        """
        if not 1 <= rounds <= anchors <= budget:
            raise UsageError(
                f"rounds {rounds} of {anchors} anchors in a budget of {budget}: each must hold the"
                " one before, and there is at least one round"
            )
        rows = self._rows(beside)
        known: dict[int, float] = {}
        order = [*dict.fromkeys((*start, *range(len(docs))))]
        for size in [*_shares(anchors, rounds), budget - anchors]:
            chosen = [place for place in order if place not in known][:size]
            ratings = yield from ask_all(Rate(docs[place]) for place in chosen)
            known |= dict(zip(chosen, ratings, strict=True))
            order = self._order(rows, known, order)
        rated = sorted(known, key=known.__getitem__, reverse=True)
        return [docs[place] for place in (*rated, *(p for p in order if p not in known))]

    def _rows(self, beside: Sequence[Any]) -> Any:
        """All rows that a mixture is made of; those beside are longer than an anchor query's."""
        np = extra("numpy", "eval")
        rows = np.asarray(self.ratings, np.float64)
        if not len(beside):
            return rows
        long = BESIDE * np.linalg.norm(rows - rows.mean(axis=1, keepdims=True), axis=1).mean()
        added = np.asarray(beside, np.float64)
        added = added - added.mean(axis=1, keepdims=True)
        lengths = np.maximum(np.linalg.norm(added, axis=1, keepdims=True), 1e-12)
        return np.vstack([rows, added * (long / lengths)])

    def _order(self, rows: Any, known: dict[int, float], before: list[int]) -> list[int]:
        """All places by what is predicted; as before where too little can be read."""
        np = extra("numpy", "eval")
        read = {place: rating for place, rating in known.items() if isfinite(rating)}
        if len(read) < 2:
            return before
        predicted = _predicted(rows, [*read], [*read.values()], self.ridge)
        return [int(place) for place in np.argsort(-predicted, kind="stable")]


def _predicted(rows: Any, places: Sequence[int], values: Sequence[float], ridge: float) -> Any:
    """The mixture of rows that explains the values at some places, everywhere."""
    np = extra("numpy", "eval")
    seen = rows[:, list(places)]
    seen = seen - seen.mean(axis=1, keepdims=True)
    wanted = np.asarray(values, np.float64) - np.mean(values)
    wide = seen.shape[0] > seen.shape[1]
    gram = seen.T @ seen if wide else seen @ seen.T
    gram[np.diag_indices_from(gram)] += ridge * (np.trace(gram) / len(gram)) + 1e-12
    mixture = seen @ np.linalg.solve(gram, wanted) if wide else np.linalg.solve(gram, seen @ wanted)
    return mixture @ rows


def with_ridge(ratings: Any, anchors: int, seed: int = 0) -> Anchors:
    """Anchors with the ridge that predicts held-out anchor queries best, from random documents."""
    np = extra("numpy", "eval")
    draw = np.random.default_rng(seed)
    rows = draw.permutation(len(ratings))
    held = rows[: min(HELD_OUT, len(rows) // 4)]
    others = np.asarray(ratings, np.float64)[np.setdiff1d(rows, held)]
    places = draw.permutation(ratings.shape[1])[:anchors]

    def fit(ridge: float) -> float:
        kept = Anchors(others, ridge)
        pairs = ((kept.predicted(places, ratings[row][places]), ratings[row]) for row in held)
        return float(np.mean([np.corrcoef(found, truth)[0, 1] for found, truth in pairs]))

    return Anchors(ratings, max(RIDGES, key=fit) if len(held) else 1e-2)


def _shares(total: int, parts: int) -> list[int]:
    """A total in parts that differ by at most 1, the larger first."""
    return [total // parts + (part < total % parts) for part in range(parts)]
