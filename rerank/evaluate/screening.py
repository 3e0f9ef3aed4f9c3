"""How much of a list must be read to find what it holds: last_rel, WSS and recall at k % of it.

Law: as in gains and precedence, expected values where scores are equal. The measures are those of
the CLEF TAR tasks. The list is as long as the longer of the ranking and the judgments, since every
document of a screening list is judged.
"""

from rerank.errors import extra
from rerank.evaluate.gains import relevant, relevant_within, share
from rerank.evaluate.measures import Measure
from rerank.evaluate.ranks import Array, Ranks, groups


def last_relevant(found: Ranks, measure: Measure) -> Array:
    """The rank of the last relevant document; less is better.

    It is the length of the list where one is not in the ranking, and 0 where there is none.
    """
    np = extra("numpy", "eval")
    rank = _rank_of(found, measure.level, relevant(found, measure.level))
    return np.where(np.isnan(rank), _length(found), rank)


def work_saved(found: Ranks, measure: Measure) -> Array:
    """WSS at `cutoff` percent of recall: the share of the list not read, less the share not found.

    So many relevant documents must be found as Python rounds that percentage of them, half to even,
    which is CLEF's rule. It is 0 where the ranking does not have so many.
    """
    np = extra("numpy", "eval")
    good, recall = relevant(found, measure.level), measure.cutoff or 0
    rank = _rank_of(found, measure.level, np.round(good * (recall / 100)))
    saved = share(_length(found) - rank, _length(found)) - (100 - recall) / 100
    return np.where((good > 0) & ~np.isnan(rank), saved, 0)


def recall_of_share(found: Ranks, measure: Measure) -> Array:
    """Recall in the first `cutoff` percent of the list, rounded up."""
    np = extra("numpy", "eval")
    read = np.ceil(_length(found) * measure.cutoff / 100)[found.query]
    return share(relevant_within(found, measure.level, read), relevant(found, measure.level))


def _length(found: Ranks) -> Array:
    np = extra("numpy", "eval")
    return np.maximum(found.retrieved, relevant(found, 0))


def _rank_of(found: Ranks, level: int, wanted: Array) -> Array:
    """The rank of each query's `wanted`-th relevant document, NaN where there are fewer.

    The j-th of r documents in a random order of m stands at place j (m+1)/(r+1) in the mean.
    """
    np = extra("numpy", "eval")
    g = groups(found, level)
    of_group = wanted[g.query] - g.before
    there = (of_group > 0) & (of_group <= g.count)
    rank = np.where(wanted == 0, 0, np.nan)
    rank[g.query[there]] = (g.first - 1 + of_group * (g.tied + 1) / (g.count + 1))[there]
    return rank
