"""Adaptive depth: look for documents near the good ones, too (the clustering hypothesis).

`neighbours` gives the documents near a document, nearest first; they need not be candidates. A
ranking holds every candidate and every neighbour that was judged. Without neighbours these are
plain rerankers. Equal documents are one document only as neighbours.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

from rerank.questions import Asking, Rate, ask_all
from rerank.strategies.places import order_places

T = TypeVar("T")
Neighbours: TypeAlias = Callable[[T], Sequence[T]]


def adaptive_rating(
    docs: Sequence[T],
    neighbours: Neighbours[T] | None = None,
    batch: int = 16,
    depth: int | None = None,
) -> Asking[list[T]]:
    """Rate candidates and neighbours of what rated best in turns (GAR: MacAvaney et al. 2022).

    arXiv:2208.08942. `depth` ratings, as many as there are candidates if it is not given, in
    ceil(depth / batch) rounds, or one without neighbours. What was not rated comes last.
    """
    pool = _Pool(docs, neighbours)
    limit = len(docs) if depth is None else depth
    size = batch if neighbours else limit
    ratings: dict[int, float] = {}
    while new := pool.take(min(size, limit - len(ratings))):
        told = yield from ask_all(Rate(pool.docs[place]) for place in new)
        ratings.update(zip(new, told, strict=True))
        for place in new:
            for near in pool.near(place):
                known = pool.frontier.get(near, ratings[place])
                pool.frontier[near] = max(known, ratings[place])
    return pool.ranking(sorted(ratings, key=lambda place: (-ratings[place], place)))


def adaptive_window(
    docs: Sequence[T],
    neighbours: Neighbours[T] | None = None,
    window: int = 20,
    step: int = 10,
    depth: int | None = None,
) -> Asking[list[T]]:
    """Carry the best of a window down the candidates and their neighbours in turns (SlideGAR).

    Rathee et al. 2025, arXiv:2501.09186. 1 + ceil((depth - window) / step) calls, each a round, for
    `depth` documents, as many as there are candidates if it is not given. What falls out of the
    window follows in the order in which it did; the published code turns that order round.
    """
    if not 1 <= step < window:
        raise ValueError(f"step must be in 1 .. window - 1, not {step} with window {window}")
    pool = _Pool(docs, neighbours)
    limit = len(docs) if depth is None else depth
    size = window
    best: list[int] = []
    out: list[int] = []
    while new := pool.take(min(size, limit - len(best) - len(out))):
        [order] = yield from order_places(pool.docs, [best + new])
        best, out = order[: window - step], out + order[window - step :]
        near = dict.fromkeys(place for good in best for place in pool.near(good))
        pool.frontier = dict.fromkeys(list(near)[:step], 0.0)
        size = step
    return pool.ranking(best + out)


class _Pool(Generic[T]):
    """Documents by place, the candidates first, and which of them are still to be judged."""

    def __init__(self, docs: Sequence[T], neighbours: Neighbours[T] | None) -> None:
        self.docs, self.neighbours = list(docs), neighbours
        self.waiting = dict.fromkeys(range(len(docs)))
        self.frontier: dict[int, float] = {}
        self._places = {doc: place for place, doc in reversed([*enumerate(docs)])}
        self._judged: set[int] = set()
        self._near_turn = False

    def take(self, size: int) -> list[int]:
        """Up to `size` places to judge: of candidates and of the frontier, in turns.

        What one side lacks, the other gives.
        """
        near = sorted(self.frontier, key=lambda place: -self.frontier[place])
        sides = [*near, *self.waiting] if self._near_turn else [*self.waiting, *near]
        taken = list(dict.fromkeys(sides))[: max(0, size)]
        self._near_turn = not self._near_turn
        for place in taken:
            self.waiting.pop(place, None)
            self.frontier.pop(place, None)
        self._judged.update(taken)
        return taken

    def near(self, place: int) -> list[int]:
        """The places of the neighbours that are not judged yet."""
        found = self.neighbours(self.docs[place]) if self.neighbours else ()
        for doc in found:
            if doc not in self._places:
                self._places[doc] = len(self.docs)
                self.docs.append(doc)
        places = [self._places[doc] for doc in found]
        return [place for place in places if place not in self._judged]

    def ranking(self, order: Sequence[int]) -> list[T]:
        """The documents in this order, then the candidates that wait."""
        return [self.docs[place] for place in (*order, *self.waiting)]
