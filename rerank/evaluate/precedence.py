"""Measures in which it counts what stands above a document: MAP, MRR, success, bpref and ERR.

Law: as in gains, a value for each query from where the judged documents are; where scores are equal
it is the expected value over all orders of the documents that share them, in closed form.
"""

from rerank.errors import InputError, extra
from rerank.evaluate.gains import relevant, share
from rerank.evaluate.measures import Measure
from rerank.evaluate.ranks import Array, Groups, Ranks, groups, starts

MOST = 4  # the highest grade that gdeval knows, also where no document has it


def average_precision(found: Ranks, measure: Measure) -> Array:
    """The mean over relevant documents of the precision at each; 0 at those not in the first k.

    Of a group of m documents with r relevant ones, a rank holds one of these with chance r/m, and
    then a rank of the group above it another one with chance (r-1)/(m-1).
    """
    np = extra("numpy", "eval")
    g = groups(found, measure.level)
    group, step = _spread(_reached(g.first, g.tied, measure))
    rank = g.first[group] + step
    above = g.before[group] + step * ((g.count - 1) / np.maximum(g.tied - 1, 1))[group]
    precision = (g.count / g.tied)[group] * (1 + above) / rank
    sums = np.bincount(g.query[group], precision, len(found.queries))
    return share(sums, relevant(found, measure.level))


def reciprocal_rank(found: Ranks, measure: Measure) -> Array:
    """One by the rank of the first relevant document; 0 where that is not in the first k."""
    np = extra("numpy", "eval")
    query, rank, chance = _first_relevant(found, measure)
    return np.bincount(query, chance / rank, len(found.queries))


def success(found: Ranks, measure: Measure) -> Array:
    """Whether a relevant document is in the first k: 1 or 0."""
    np = extra("numpy", "eval")
    query, _, chance = _first_relevant(found, measure)
    return np.bincount(query, chance, len(found.queries))


def bpref(found: Ranks, measure: Measure) -> Array:
    """How seldom documents judged not relevant stand above relevant ones (Buckley & Voorhees 2004).

    Computed as by trec_eval, where it is defined: a query with a relevant document and without one
    that is judged not relevant is an InputError (trec_eval gives 1, ranx no number).
    """
    np = extra("numpy", "eval")
    good, bad = _good_and_bad(found, measure.level)
    start, count = starts(found.query, found.first)
    query = found.query[start]
    is_bad = np.cumsum(np.append(0, found.grade < measure.level))
    above = is_bad[start] - is_bad[np.searchsorted(found.query, query)]
    bad_here = is_bad[start + count] - is_bad[start]
    good_here = count - bad_here
    group, more = _spread(np.where(good_here > 0, bad_here + 1, 0))
    query = query[group]
    worth = 1 - np.minimum(above[group] + more, good[query]) / np.minimum(good, bad)[query]
    weight = (good_here / (bad_here + 1))[group]
    return share(np.bincount(query, weight * worth, len(found.queries)), good)


def err(found: Ranks, measure: Measure) -> Array:
    """Expected reciprocal rank (Chapelle et al. 2009) with gdeval's chance, (2^grade - 1) / 2^4.

    A grade above 4, which gdeval refuses too, is an InputError.
    """
    np = extra("numpy", "eval")
    if len(high := found.all_query[found.all_grade > MOST]):
        raise InputError(f"query {found.queries[high[0]]}: err knows no grade above {MOST}")
    g = groups(found, 1)
    passed = 1 - (2.0 ** found.grade[found.grade > 0] - 1) / 2**MOST
    values, reaching = np.zeros(len(found.queries)), np.ones(len(found.queries))
    reached, ends = _reached(g.first, g.tied, measure), np.cumsum(g.count)
    for query, first, tied, count, _, within, end in zip(*g, reached, ends, strict=True):
        going_on = reaching[query] * _passing(tied, passed[end - count : end])
        stopping = (going_on[:-1] - going_on[1:])[:within]
        values[query] += (stopping / np.arange(first, first + within)).sum()
        reaching[query] = going_on[-1]
    return values


def _passing(tied: int, chances: Array) -> Array:
    """The chance to pass the first 0, 1, ..., `tied` ranks of a group in random order.

    It is the mean, over all sets of that many of its documents, of the product of their `chances`
    to be passed, which are 1 for the documents not listed.
    """
    np = extra("numpy", "eval")
    passing = np.ones(tied - len(chances) + 1)
    for chance in chances:
        among = np.arange(len(passing) + 1) / len(passing)
        passing = (1 - among) * np.append(passing, 0) + among * chance * np.append(0, passing)
    return passing


def _first_relevant(found: Ranks, measure: Measure) -> tuple[Array, Array, Array]:
    """Query, rank and chance of each place within the cutoff where the first relevant may be."""
    np = extra("numpy", "eval")
    g = groups(found, measure.level)
    g = Groups(*(column[g.before == 0] for column in g))
    reached = _reached(g.first, g.tied - g.count + 1, measure)
    group, step = _spread(reached)
    chances = [_first_of(m, r)[:end] for m, r, end in zip(g.tied, g.count, reached, strict=True)]
    return g.query[group], g.first[group] + step, np.concatenate([np.empty(0), *chances])


def _first_of(tied: int, count: int) -> Array:
    """The chance of each place to be the first that holds one of `count` among `tied`."""
    np = extra("numpy", "eval")
    step = np.arange(1, tied - count + 1)
    return count / tied * np.cumprod(np.append(1.0, (tied - count - step + 1) / (tied - step)))


def _good_and_bad(found: Ranks, level: int) -> tuple[Array, Array]:
    """How many documents of each query are relevant, and how many are judged not to be."""
    np = extra("numpy", "eval")
    good = relevant(found, level)
    bad = relevant(found, 0) - good
    if len(undefined := np.flatnonzero((good > 0) & (bad == 0))):
        raise InputError(
            f"query {found.queries[undefined[0]]}: bpref is not defined where no document is judged"
            f" not relevant, as in {len(undefined)} of {len(good)} queries"
        )
    return good, bad


def _reached(first: Array, length: Array, measure: Measure) -> Array:
    """How many of a group's ranks are within the cutoff."""
    np = extra("numpy", "eval")
    cutoff = np.inf if measure.cutoff is None else measure.cutoff
    return np.clip(cutoff - first + 1, 0, length).astype(int)


def _spread(lengths: Array) -> tuple[Array, Array]:
    """For lengths 2, 0, 1: the owners 0, 0, 2 and the steps 0, 1, 0."""
    np = extra("numpy", "eval")
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
