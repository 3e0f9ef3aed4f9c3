"""Order places in a list instead of documents, so that equal documents stay two."""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import TypeVar

from rerank.questions import Asking, AsShown, Order, ask_all

T = TypeVar("T")


def order_places(docs: Sequence[T], groups: Iterable[Sequence[int]]) -> Asking[list[list[int]]]:
    """Put the documents at each group of places in order, best first: one batch, one call each.

    A group of one is in order already and asks nothing. An order that nobody decided stays known
    for one.
    """
    shown = [list(group) for group in groups]
    asked = [group for group in shown if len(group) > 1]
    if not asked:
        return shown
    told = yield from ask_all(Order(tuple(docs[place] for place in group)) for group in asked)
    answers = iter(told)
    return [_places(docs, group, next(answers)) if len(group) > 1 else group for group in shown]


def _places(docs: Sequence[T], group: Sequence[int], answer: Iterable[T]) -> list[int]:
    """The place of each document of an answer; equal documents come in the order shown."""
    if isinstance(answer, AsShown):
        return AsShown(group)
    places: defaultdict[T, deque[int]] = defaultdict(deque)
    for place in group:
        places[docs[place]].append(place)
    return [places[doc].popleft() for doc in answer]
