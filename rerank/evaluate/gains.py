"""Measures that add up a worth for each rank: nDCG, precision, recall, judged@k and RBP.

Law: a measure is a function of where the judged documents are, and gives a value for each query. A
document that shares its rank with others has the mean worth of their ranks, which makes the value
the expected one over all orders of equal scores (McSherry & Najork, ECIR 2008).
"""

from collections.abc import Callable

from rerank.errors import extra
from rerank.evaluate.measures import Measure
from rerank.evaluate.ranks import Array, Ranks


def ndcg(found: Ranks, measure: Measure) -> Array:
    """Discounted gain of the grades over that of the ideal ranking (Järvelin & Kekäläinen 2002)."""
    return _discounted(found, measure, lambda grade: grade)


def ndcg_burges(found: Ranks, measure: Measure) -> Array:
    """nDCG whose gain is 2^grade - 1 (Burges et al. 2005), as gdeval has it."""
    return _discounted(found, measure, lambda grade: 2.0**grade - 1)


def precision(found: Ranks, measure: Measure) -> Array:
    """The share of the first k places that hold a relevant document, for shorter lists too."""
    return relevant_within(found, measure.level, measure.cutoff) / measure.cutoff


def recall(found: Ranks, measure: Measure) -> Array:
    """The share of the relevant documents that are in the first k places."""
    found_there = relevant_within(found, measure.level, measure.cutoff or float("inf"))
    return share(found_there, relevant(found, measure.level))


def r_precision(found: Ranks, measure: Measure) -> Array:
    """Precision after as many documents as there are relevant ones."""
    whole = relevant(found, measure.level)
    return share(relevant_within(found, measure.level, whole[found.query]), whole)


def judged(found: Ranks, measure: Measure) -> Array:
    """The share of the first k places that hold a judged document, for shorter lists too."""
    return total(found, _within(found, measure.cutoff)) / measure.cutoff


def rbp(found: Ranks, measure: Measure) -> Array:
    """Rank-biased precision of relevant or not (Moffat & Zobel 2008), without its residual."""
    np = extra("numpy", "eval")
    rank, p = np.arange(1, _deepest(found) + 1), measure.persistence
    worth = np.where(rank <= (measure.cutoff or np.inf), (1 - p) * p ** (rank - 1), 0)
    with np.errstate(divide="ignore"):
        price = 1 / worth
    return total(found, _over(found, found.grade >= measure.level, price))


def total(found: Ranks, values: Array) -> Array:
    """Add up the values of entries by query, best rank first."""
    np = extra("numpy", "eval")
    return np.bincount(found.query, values, len(found.queries))


def relevant(found: Ranks, level: int) -> Array:
    """How many documents of grade `level` or more each query has, found or not."""
    np = extra("numpy", "eval")
    return np.bincount(found.all_query[found.all_grade >= level], minlength=len(found.queries))


def share(part: Array, whole: Array) -> Array:
    """Part by whole; 0 of nothing is 0."""
    np = extra("numpy", "eval")
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def relevant_within(found: Ranks, level: int, cutoff: Array) -> Array:
    """How many relevant documents are in the first places; the cutoff may differ by entry."""
    return total(found, (found.grade >= level) * _within(found, cutoff))


def _within(found: Ranks, cutoff: Array) -> Array:
    """The share of its ranks that an entry has within the cutoff: 0 or 1 unless it is tied."""
    np = extra("numpy", "eval")
    return np.clip(cutoff - found.first + 1, 0, found.tied) / found.tied


def _over(found: Ranks, gain: Array, price: Array) -> Array:
    """The gain of each entry, over the price of its rank or, if it is tied, in the mean of them."""
    np = extra("numpy", "eval")
    if (found.tied == 1).all():
        return gain / price[found.first - 1]
    until = np.cumsum(np.append(0.0, 1 / price))
    return gain * (until[found.first + found.tied - 1] - until[found.first - 1]) / found.tied


def _discounted(found: Ranks, measure: Measure, gain: Callable[[Array], Array]) -> Array:
    np = extra("numpy", "eval")
    rank = np.arange(1, max(_deepest(found), len(found.all_query)) + 1)
    price = np.where(rank <= (measure.cutoff or np.inf), np.log2(rank + 1), np.inf)
    ideal = np.arange(len(found.all_query)) - np.searchsorted(found.all_query, found.all_query)
    best = np.bincount(found.all_query, gain(found.all_grade) / price[ideal], len(found.queries))
    return share(total(found, _over(found, gain(found.grade), price)), best)


def _deepest(found: Ranks) -> int:
    return int((found.first + found.tied - 1).max(initial=0))
