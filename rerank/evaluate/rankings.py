"""Many rankings of the same things made one: shared ranks, and Kemeny's consensus.

Law: what nothing sets apart shares a rank (where ranks are given by position, the last listed of
six equal systems is first nearly always: a bias of published code), and an order is called optimal
only where that is proven. This module knows neither runs nor datasets.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rerank.errors import extra
from rerank.evaluate.ranks import Array
from rerank.evaluate.solvers import SECONDS, cheapest_order


class Consensus(NamedTuple):
    """Ranks that disagree with rankings on the fewest pairs (Kemeny 1959).

    `disagreement` counts the pairs that rankings have the other way round, and half of those that
    they have equal. `proven` is whether it is known that no order disagrees less.
    """

    ranks: Array
    places: tuple[int, ...]
    disagreement: float
    proven: bool


def shared_ranks(worth: Array) -> Array:
    """Ranks from 1 along the last axis, the most worth first; equals share the mean of theirs."""
    np = extra("numpy", "eval")
    worth = np.round(worth, 12)  # equal sums differ by rounding
    mine, other = worth[..., :, None], worth[..., None, :]
    return (other > mine).sum(axis=-1) + ((other == mine).sum(axis=-1) + 1) / 2


def disagreements(worth: Array, weights: Array) -> Array:
    """What i above j costs, [i, j]: the weight of rows in which j is worth more, half if equal."""
    np = extra("numpy", "eval")
    columns = (worth[:, [column]] for column in range(worth.shape[1]))
    costs = [weights @ ((worth > mine) + (worth == mine) / 2) for mine in columns]
    return np.round(costs, 9)


def kemeny(costs: Array, seconds: float = SECONDS) -> Consensus:
    """The consensus of rankings that disagree as `costs` say."""
    places, cost, proven = cheapest_order(costs, seconds)
    return Consensus(_shared(costs, places), places, cost, proven)


def is_only(found: Consensus, costs: Array, seconds: float = SECONDS) -> bool:
    """Whether it is known that every other order disagrees more."""
    if len(costs) < 2:
        return True
    other = cheapest_order(costs, seconds, other_than=found.places)
    return found.proven and other.proven and other.cost > found.disagreement


def _shared(costs: Array, places: Sequence[int]) -> Array:
    """Neighbours that can change places at no cost share their ranks."""
    np = extra("numpy", "eval")
    groups = [[places[0]]]
    for number in places[1:]:
        if all(costs[number, other] == costs[other, number] for other in groups[-1]):
            groups[-1].append(number)
        else:
            groups.append([number])
    worth = np.zeros(len(places))
    for place, group in enumerate(groups):
        worth[group] = -place
    return shared_ranks(worth)
