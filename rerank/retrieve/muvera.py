"""MUVERA: the token vectors of a text as one vector, whose product is nearly MaxSim.

MaxSim (Khattab & Zaharia 2020) adds up, for each token of a query, its best product with a token
of the document. Here each token goes to one of 2^bits buckets by the signs of its products with
random vectors; a bucket holds the sum of a query's tokens, or the mean of a document's, projected
to fewer dimensions; an empty bucket of a document holds its nearest token. All buckets of all
repeats are one vector, and ordinary inner-product search serves. The random vectors depend on the
seed alone, never on the corpus.

Dhulipala et al. 2024, arXiv:2405.19504. Arrays in, arrays out: no text and no model.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from rerank.errors import extra
from rerank.recipes.stages import MuveraOptions


def width(options: MuveraOptions) -> int:
    """The numbers in one vector."""
    return options.repeats * (1 << options.bits) * options.projected


def of_queries(texts: Sequence[Any], options: MuveraOptions) -> Any:
    """A vector for each text of token rows: what a bucket holds is added up."""
    np = extra("numpy", "eval")
    rows = [_held(*_projected(tokens, options), options)[0].ravel() for tokens in texts]
    return np.array(rows, np.float32)


def of_docs(texts: Sequence[Any], options: MuveraOptions) -> Any:
    """A vector for each text of token rows: the mean of a bucket, or the nearest token."""
    np = extra("numpy", "eval")
    found = np.empty((len(texts), width(options)), np.float32)
    far = _distances(options.bits)
    for text, tokens in enumerate(texts):
        buckets, short = _projected(tokens, options)
        held, counts = _held(buckets, short, options)
        held /= np.maximum(counts, 1)[:, :, None]
        repeat, empty = np.nonzero(counts == 0)
        held[repeat, empty] = short[repeat, far[empty[:, None], buckets[repeat]].argmin(axis=1)]
        found[text] = held.ravel()
    return found


def maxsim(query: Any, tokens: Any, starts: Any) -> Any:
    """Exact MaxSim of a query's rows with each document; `starts` is where its rows begin."""
    np = extra("numpy", "eval")
    return np.maximum.reduceat(query @ tokens.T, starts, axis=1).sum(axis=0)


def _projected(tokens: Any, options: MuveraOptions) -> tuple[Any, Any]:
    """For each repeat, the bucket of each token, and each token in fewer dimensions."""
    np = extra("numpy", "eval")
    planes, projections = _drawn(tokens.shape[1], options)
    above = (tokens @ planes > 0).reshape(len(tokens), options.repeats, options.bits)
    short = (tokens @ projections).reshape(len(tokens), options.repeats, options.projected)
    return (above @ (1 << np.arange(options.bits))).T, short.transpose(1, 0, 2)


def _held(buckets: Any, short: Any, options: MuveraOptions) -> tuple[Any, Any]:
    """For each repeat and bucket, the sum of its tokens, and how many they are."""
    np = extra("numpy", "eval")
    member = buckets[:, None, :] == np.arange(1 << options.bits)[:, None]
    return member.astype(np.float32) @ short, member.sum(axis=2)


@cache
def _drawn(size: int, options: MuveraOptions) -> tuple[Any, Any]:
    """The random planes and projections (of signs) of all repeats, side by side."""
    np = extra("numpy", "eval")
    draw = np.random.default_rng(options.seed)
    planes = draw.normal(size=(size, options.repeats * options.bits))
    signs = draw.choice([-1.0, 1.0], size=(size, options.repeats * options.projected))
    return planes.astype(np.float32), (signs / options.projected**0.5).astype(np.float32)


@cache
def _distances(bits: int) -> Any:
    """In how many bits the numbers of two buckets differ."""
    np = extra("numpy", "eval")
    numbers = np.arange(2**bits, dtype=np.uint32)
    return np.bitwise_count(numbers[:, None] ^ numbers)
