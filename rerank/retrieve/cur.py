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
from functools import cached_property
from math import isfinite
from typing import Any, TypeVar

from rerank.errors import UsageError, extra
from rerank.questions import Asking, Rate, ask_all

T = TypeVar("T")
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
BESIDE = 5.0  # how long a row beside the anchor queries' is, in their mean length
HELD_OUT = 20  # anchor queries at most that choose the ridge


@dataclass(frozen=True)
class Anchors:
    """Ratings of every document (columns) for every anchor query (rows)."""

    ratings: Any
    ridge: float = 1e-2

    def predicted(self, places: Sequence[int], values: Sequence[float], beside: Any = None) -> Any:
        """The rating of every document, but for a constant, from those at some places.

        The mixture is of the anchor queries' rows and of those `beside`.
        """
        np = extra("numpy", "eval")
        blocks = [self._rows] if beside is None else [self._rows, beside]
        seen = np.vstack([block[:, list(places)] for block in blocks])
        seen = seen - seen.mean(axis=1, keepdims=True)
        wanted = np.asarray(values, np.float64) - np.mean(values)
        wide = seen.shape[0] > seen.shape[1]
        gram = seen.T @ seen if wide else seen @ seen.T
        gram[np.diag_indices_from(gram)] += self.ridge * (np.trace(gram) / len(gram)) + 1e-12
        mixture = (
            seen @ np.linalg.solve(gram, wanted) if wide else np.linalg.solve(gram, seen @ wanted)
        )
        shares = np.split(mixture, [len(self._rows)])[: len(blocks)]
        return sum(share @ block for share, block in zip(shares, blocks, strict=True))

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
        scaled = self._scaled(beside)
        known: dict[int, float] = {}
        order = [*dict.fromkeys((*start, *range(len(docs))))]
        for size in [*_shares(anchors, rounds), budget - anchors]:
            chosen = [place for place in order if place not in known][:size]
            ratings = yield from ask_all(Rate(docs[place]) for place in chosen)
            known |= dict(zip(chosen, ratings, strict=True))
            order = self._order(known, order, scaled)
        rated = sorted(known, key=known.__getitem__, reverse=True)
        return [docs[place] for place in (*rated, *(p for p in order if p not in known))]

    @cached_property
    def _rows(self) -> Any:
        return extra("numpy", "eval").asarray(self.ratings, "float64")

    @cached_property
    def _long(self) -> float:
        """How long a row is that stands beside the anchor queries'."""
        np = extra("numpy", "eval")
        centred = self._rows - self._rows.mean(axis=1, keepdims=True)
        return BESIDE * float(np.linalg.norm(centred, axis=1).mean())

    def _scaled(self, beside: Sequence[Any]) -> Any:
        np = extra("numpy", "eval")
        if not len(beside):
            return None
        rows = np.asarray(beside, np.float64)
        rows = rows - rows.mean(axis=1, keepdims=True)
        return rows * (self._long / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))

    def _order(self, known: dict[int, float], before: list[int], beside: Any) -> list[int]:
        """All places by what is predicted; as before where too little can be read."""
        np = extra("numpy", "eval")
        read = {place: rating for place, rating in known.items() if isfinite(rating)}
        if len(read) < 2:
            return before
        predicted = self.predicted([*read], [*read.values()], beside)
        return [int(place) for place in np.argsort(-predicted, kind="stable")]


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
