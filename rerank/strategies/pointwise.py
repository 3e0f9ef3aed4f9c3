"""Rate every document alone. One batch, no dependence, no transitivity to break."""

from collections.abc import Sequence
from typing import TypeVar

from rerank.questions import Asking, Rate, ask_all

T = TypeVar("T")


def rate_each(docs: Sequence[T]) -> Asking[list[T]]:
    """Sort by rating, best first; ties keep the first stage's order. N calls, one round."""
    ratings = yield from ask_all(Rate(doc) for doc in docs)
    order = sorted(range(len(docs)), key=lambda i: -ratings[i])
    return [docs[i] for i in order]
