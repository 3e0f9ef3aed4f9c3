"""The fewest and the most questions that a method can ask about N documents, before any memo.

Worked out from the papers' loops, not from ours: where the two numbers are one, whoever answers
costs the same.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any, NamedTuple

from rerank.methods import Method
from rerank.strategies import STRATEGIES, options_of
from rerank.strategies.tournament import stages

NARROW = {  # windows smaller than the list, so that each strategy goes its whole way
    "sliding-window": {"window": 4, "stride": 2, "k": 3},
    "self-consistency": {"times": 3, "options": {"window": 4, "stride": 2}},
    "prp-heapsort": {"k": 3},
    "prp-sliding": {"k": 3},
    "setwise-heapsort": {"k": 3, "children": 3},
    "setwise-bubblesort": {"k": 3, "children": 3},
    "top-down": {"window": 4, "cutoff": 3, "buffer": 4, "k": 3},
    "tournament": {"window": 4, "tournaments": 2},
    "joint-blocks": {"block": 4},
    "uncertain": {"window": 4, "k": 3, "few": 2, "max_calls": 6},
    "active": {"window": 4, "k": 3, "max_calls": 6},
    "adaptive-rating": {"batch": 4},
    "adaptive-window": {"window": 4, "step": 2},
}


class Bounds(NamedTuple):
    least: int
    most: int


def bounds(row: Method, count: int) -> Bounds:
    """Of a row of METHODS, with its own options or any others that it takes."""
    return _bounds(row.strategy, row.options, count)


def _bounds(strategy: str, options: Mapping[str, Any], count: int) -> Bounds:
    given = {**options_of(STRATEGIES[strategy]), **options}
    if strategy == "self-consistency":
        once = _bounds(given["strategy"], given["options"] or {}, count)
        return Bounds(given["times"] * once.least, given["times"] * once.most)
    found = FORMULAS[strategy](count, given)
    return Bounds(found, found) if isinstance(found, int) else Bounds(*found)


def windows(n, o):
    a_pass = 1 + ceil(max(0, n - o["window"]) / o["stride"]) if n > 1 else 0
    return (a_pass, o["passes"] * a_pass)


def downward(n, o):
    n = n if o["depth"] is None else min(n, o["depth"])
    return 1 + ceil(max(0, n - o["window"]) / o["step"]) if n > 1 else 0


def sliding_pairs(n, o):
    return 2 * sum(n - 1 - i for i in range(min(o["k"], n)))


def sets(n, o):
    return sum(ceil((n - 1 - i) / o["children"]) for i in range(min(o["k"], n)))


def heap(n, arity, k, price):
    """A build and k - 1 pops, in which nothing sinks, or everything sinks the dearest way.

    `price` is what a node with so many children asks.
    """

    def children(node, size):
        return max(0, min(arity, size - 1 - arity * node))

    def dearest(node, size):
        below = [arity * node + 1 + i for i in range(children(node, size))]
        return price(len(below)) + max(dearest(child, size) for child in below) if below else 0

    nodes, sizes = range(n), range(n - 1, n - min(k, n), -1)
    least = sum(price(children(node, n)) for node in nodes)
    most = sum(dearest(node, n) for node in nodes)
    pops = sum(price(children(0, size)) for size in sizes)
    return (least + pops, most + sum(dearest(0, size) for size in sizes))


def from_the_top(n, o):
    """One search settles k; its last order is left out where nothing beat the pivot."""
    assert o["parallel"] and o["k"] <= o["cutoff"] and o["buffer"] <= o["window"]
    if n <= o["window"]:
        return int(n > 1)
    parts = 1 + ceil((n - o["window"]) / (o["window"] - 1))
    return (parts, parts + (o["cutoff"] > 1))


def groups(n, o):
    asked = 0
    for keep, number in stages(n, o["window"]):
        asked += sum(len(range(first, n, number)) > 1 for first in range(number))
        n = keep
    return o["tournaments"] * asked


def blocks(n, o):
    return max(o["repeats"], ceil(n * o["repeats"] / o["block"])) if n > 1 else 0


def uncertain(n, o):
    """Every window once, all but one of the calls; then a last order of two or more."""
    if n <= o["window"]:
        return int(n > 1)
    first = min(ceil(n / o["window"]), o["max_calls"] - 1)
    alone = n % o["window"] == 1 and first == ceil(n / o["window"])
    return (first - alone + (o["k"] > 1), o["max_calls"])


def at_stake(n, o):
    return int(n > 1) if n <= o["window"] else (1, o["max_calls"])


FORMULAS = {
    "first-stage": lambda n, o: 0,
    "pointwise": lambda n, o: n,
    "prp-allpairs": lambda n, o: n * (n - 1),
    "prp-heapsort": lambda n, o: heap(n, 2, o["k"], lambda children: 2 * children),
    "prp-sliding": sliding_pairs,
    "setwise-heapsort": lambda n, o: heap(n, o["children"], o["k"], bool),
    "setwise-bubblesort": sets,
    "sliding-window": windows,
    "full-ranking": lambda n, o: int(n > 1),
    "top-down": from_the_top,
    "tournament": groups,
    "joint-blocks": blocks,
    "uncertain": uncertain,
    "adaptive-rating": lambda n, o: n if o["depth"] is None else min(n, o["depth"]),
    "adaptive-window": downward,
    "active": at_stake,
}
