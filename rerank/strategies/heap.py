"""Select the best of many with a heap of any arity; who wins a family is asked, not computed.

Its law: a contest waits only for those whose outcome it shows. The contests are those of one sift
after the other, with the same documents in the same places, but a sift goes on as soon as the ones
before it are below its next family, and once the best are known none goes on. Heaps hold positions,
never documents: equal documents stay two documents.
"""

from collections.abc import Callable
from typing import Any

from rerank.questions import Asking, Crew

Contest = Callable[[list[int]], Asking[int]]
"""Which of these positions is the best? The answer is an index into them. The first is the parent;
where nothing decides, the lowest position, the first stage's favourite, should win."""


def select(count: int, keep: int, arity: int, contest: Contest) -> Asking[list[int]]:
    """Return positions 0 .. count-1 with the best `keep` first, the rest in their old order.

    Exact for a consistent contest (algorithms.md sections 4.2 and 5.2: keep-1 sifts after
    the build, the tail keeps the first stage's order).
    """
    if arity < 1:
        raise ValueError(f"a heap's nodes need at least one child, not {arity}")
    heap, keep = _Heap(count, arity, contest), min(keep, count)
    best: list[int] = []
    while len(best) < keep:
        if heap.settled():
            best.append(heap.places[0])
            heap.pop()
        else:
            heap.begin_contests()
            heap.end_contests((yield heap.crew.batch()))
    chosen = set(best)
    return best + [i for i in range(count) if i not in chosen]


class _Heap:
    """Positions in a heap, and the sifts that are on their way down in it.

    A sift writes to its node and below it, so a family is read once no sift is at one of its
    children: there is one at a node at most.
    """

    def __init__(self, count: int, arity: int, contest: Contest) -> None:
        self.places, self.arity, self.contest = list(range(count)), arity, contest
        self.sifts: dict[int, range] = {}  # where each is: its node, and the children of that
        self.crew: Crew[int] = Crew()
        for node in range((count - 2) // arity + 1):
            self._stand_at(node)

    def settled(self) -> bool:
        """Whether the best is on top and the last place may go: no sift will come to either."""
        node = len(self.places) - 1
        while node > 0 and node not in self.sifts:
            node = (node - 1) // self.arity
        return node not in self.sifts

    def pop(self) -> None:
        """The last place takes the top, and sifts down."""
        self.places[0] = self.places[-1]
        self.places.pop()
        self._stand_at(0)

    def begin_contests(self) -> None:
        """Have every sift go on that waits for none below it."""
        places, sifts = self.places, self.sifts
        for node, children in sifts.items():
            if node not in self.crew.asking and sifts.keys().isdisjoint(children):
                family = [places[node], *places[children.start : children.stop]]
                self.crew.begin(node, self.contest(family))

    def end_contests(self, answers: list[Any]) -> None:
        """The best of a family takes its node, and who was there sifts on from where it was."""
        places = self.places
        for node, best in self.crew.tell(answers).items():
            children = self.sifts.pop(node)
            if best:
                winner = children[best - 1]
                places[node], places[winner] = places[winner], places[node]
                self._stand_at(winner)

    def _stand_at(self, node: int) -> None:
        first = self.arity * node + 1
        if first < len(self.places):
            self.sifts[node] = range(first, min(first + self.arity, len(self.places)))
