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
from rerank.stages import MuveraOptions


def width(options: MuveraOptions) -> int:
    """The numbers in one vector."""
    return options.repeats * (1 << options.bits) * options.projected


def of_queries(texts: Sequence[Any], options: MuveraOptions) -> Any:
    """A vector for each text of token rows: what a bucket holds is added up."""
    np = extra("numpy", "eval")
    found = np.zeros((len(texts), options.repeats, 2**options.bits, options.projected), np.float32)
    for text, tokens in enumerate(texts):
        for repeat, (buckets, short) in enumerate(_sorted(tokens, options)):
            np.add.at(found[text, repeat], buckets, short)
    return found.reshape(len(texts), -1)


def of_docs(texts: Sequence[Any], options: MuveraOptions) -> Any:
    """A vector for each text of token rows: the mean of a bucket, or the nearest token."""
    np = extra("numpy", "eval")
    found = np.zeros((len(texts), options.repeats, 2**options.bits, options.projected), np.float32)
    far = _distances(options.bits)
    for text, tokens in enumerate(texts):
        for repeat, (buckets, short) in enumerate(_sorted(tokens, options)):
            held = found[text, repeat]
            np.add.at(held, buckets, short)
            counts = np.bincount(buckets, minlength=len(held))
            held /= np.maximum(counts, 1)[:, None]
            empty = counts == 0
            held[empty] = short[far[empty][:, buckets].argmin(axis=1)]
    return found.reshape(len(texts), -1)


def maxsim(query: Any, tokens: Any, starts: Any) -> Any:
    """Exact MaxSim of a query's rows with each document; `starts` is where its rows begin."""
    np = extra("numpy", "eval")
    return np.maximum.reduceat(query @ tokens.T, starts, axis=1).sum(axis=0)


def _sorted(tokens: Any, options: MuveraOptions) -> list[tuple[Any, Any]]:
    """For each repeat: the bucket of each token, and the token projected."""
    np = extra("numpy", "eval")
    planes, projections = _drawn(tokens.shape[1], options)
    powers = 1 << np.arange(options.bits)
    above = (tokens @ planes > 0).reshape(len(tokens), options.repeats, options.bits)
    short = (tokens @ projections).reshape(len(tokens), options.repeats, options.projected)
    buckets = above @ powers
    return [(buckets[:, repeat], short[:, repeat]) for repeat in range(options.repeats)]


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
