"""What scipy computes for us: quantiles of Student's t, and the cheapest order, proven to be so.

Law: an order is called proven only where the solver says that there is none cheaper, without a gap.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations
from time import monotonic
from typing import NamedTuple

from rerank.errors import extra
from rerank.evaluate.ranks import Array

SECONDS = 60.0


class Order(NamedTuple):
    """Numbers from the top down, what that costs, and whether it is known that none costs less."""

    places: tuple[int, ...]
    cost: float
    proven: bool


class _Limit(NamedTuple):
    """A constraint of the programme: `low` <= the sum of weights times pairs <= `high`."""

    pairs: Sequence[int]
    weights: Sequence[float]
    low: float
    high: float


def student(probability: float, freedom: int) -> float:
    """The quantile of Student's t with so many degrees of freedom."""
    return float(extra("scipy.special", "eval").stdtrit(freedom, probability))


def shift_seen(power: float, critical: float, freedom: int) -> float:
    """By how many standard errors t must be shifted to exceed `critical` with chance `power`."""
    return float(extra("scipy.special", "eval").nctdtrinc(freedom, 1 - power, critical))


def cheapest_order(costs: Array, seconds: float = SECONDS, other_than: Sequence[int] = ()) -> Order:
    """The order of least cost, where `costs[i, j]` is that of i above j.

    An integer programme over pairs. Of the constraints that forbid cycles only those enter it that
    a solution has broken, which are few: a solution that breaks none is the cheapest order. After
    `seconds` it is an order near the last solution, and not proven.
    """
    np = extra("numpy", "eval")
    ends = np.triu_indices(len(costs), 1)
    prices = (costs - costs.T)[ends]
    until, limits = monotonic() + seconds, list[_Limit]()
    above, proven = prices <= 0, True
    while proven and (broken := list(_broken(above, len(costs), other_than))):
        limits += broken
        solution = _solve(prices, limits, until - monotonic())
        above, proven = (above, False) if solution is None else (solution, True)
    places = tuple(np.argsort(-_matrix(above, len(costs)).sum(axis=1), kind="stable").tolist())
    cost = costs[np.ix_(places, places)][ends].sum()
    return Order(places, float(cost), proven)


def _matrix(above: Array, number: int) -> Array:
    """Whether i is above j, from a truth for each pair i < j."""
    np = extra("numpy", "eval")
    matrix = np.zeros((number, number), int)
    matrix[np.triu_indices(number, 1)] = above
    return matrix + np.tril(1 - matrix.T, -1)


@cache
def _triples(number: int) -> Array:
    np = extra("numpy", "eval")
    return np.array([*combinations(range(number), 3)], int).reshape(-1, 3).T


def _broken(above: Array, number: int, other_than: Sequence[int]) -> Iterator[_Limit]:
    """A limit for each cycle of three, and one if this is the order that is not asked for."""
    np = extra("numpy", "eval")
    matrix, (i, j, k) = _matrix(above, number), _triples(number)
    pair = np.cumsum(np.triu(np.ones_like(matrix), 1)).reshape(matrix.shape) - 1
    for cycle in np.flatnonzero((matrix[i, j] == matrix[j, k]) & (matrix[i, j] != matrix[i, k])):
        a, b, c = i[cycle], j[cycle], k[cycle]
        yield _Limit((pair[a, b], pair[b, c], pair[a, c]), (1, 1, -1), 0, 1)
    if other_than and (np.diff(matrix.sum(axis=1)[list(other_than)]) == -1).all():
        yield _Limit(range(len(above)), np.where(above, -1, 1), 1 - int(above.sum()), np.inf)


def _solve(prices: Array, limits: Sequence[_Limit], seconds: float) -> Array | None:
    """The cheapest truth for each pair within the limits; None where the time is too short.

    Mostly the solution in real numbers is one in whole ones, which then is the cheapest.
    """
    np, optimize = extra("numpy", "eval"), extra("scipy.optimize", "eval")
    row = np.repeat(np.arange(len(limits)), [len(limit.pairs) for limit in limits])
    pairs, weights, low, high = zip(*limits, strict=True)
    entries = np.concatenate(weights), (row, np.concatenate(pairs))
    matrix = extra("scipy.sparse", "eval").csr_array(entries, shape=(len(limits), len(prices)))
    for whole in (False, True):
        solved = optimize.milp(
            prices,
            integrality=np.full(len(prices), int(whole)),
            bounds=optimize.Bounds(0, 1),
            constraints=optimize.LinearConstraint(matrix, low, high),
            options={"mip_rel_gap": 0.0, "time_limit": max(0.0, seconds)},
        )
        if solved.status != 0:
            return None
        if whole or abs(solved.x - np.round(solved.x)).max() < 1e-6:
            return solved.x > 0.5
    return None
