"""How a score becomes a probability: applied without any package, by what `fitting` found.

Each mapping rises with the score, so it changes no order within a query.
"""

from bisect import bisect_left
from collections.abc import Sequence
from math import exp
from operator import mul
from typing import Annotated, Literal, TypeAlias

import pydantic

from rerank.files import Strict


class Platt(Strict):
    """One logistic curve for all queries (Platt 1999)."""

    kind: Literal["platt"] = "platt"
    slope: float = pydantic.Field(gt=0)
    offset: float

    def probability(self, score: float, query: Sequence[float]) -> float:
        return sigmoid(self.slope * score + self.offset)


class Isotonic(Strict):
    """The rising curve that fits best (Zadrozny & Elkan 2002): straight between its corners."""

    kind: Literal["isotonic"] = "isotonic"
    scores: list[float] = pydantic.Field(min_length=1)
    probabilities: list[float] = pydantic.Field(min_length=1)

    def probability(self, score: float, query: Sequence[float]) -> float:
        right = bisect_left(self.scores, score)
        if right == 0:
            return self.probabilities[0]
        if right == len(self.scores):
            return self.probabilities[-1]
        low, high = self.scores[right - 1 : right + 1]
        share = (score - low) / (high - low)
        below, above = self.probabilities[right - 1 : right + 1]
        return below + share * (above - below)


class Adapter(Strict):
    """A logistic curve of each query's own: slope and offset are linear in the query's vector.

    After the Cosine Adapter of Rossi et al. 2024, arXiv:2408.04887, with a linear head in place
    of its network. `encoder` makes the vectors.
    """

    kind: Literal["adapter"] = "adapter"
    encoder: str
    slope: float
    least_slope: float = pydantic.Field(gt=0)
    offset: float
    slopes: list[float]
    offsets: list[float]

    def probability(self, score: float, query: Sequence[float]) -> float:
        own = self.slope + sum(map(mul, self.slopes, query))
        offset = self.offset + sum(map(mul, self.offsets, query))
        return sigmoid(max(own, self.least_slope) * score + offset)


Mapping: TypeAlias = Annotated[Platt | Isotonic | Adapter, pydantic.Field(discriminator="kind")]


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))
