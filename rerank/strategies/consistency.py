"""Permutation self-consistency: shuffle, ask again, vote (Tang et al. 2023, arXiv:2310.07712).

It wraps any asking. Only questions of order have an order to shuffle; others pass as they are.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from rerank.questions import Asking, AsShown, Order, Question, ask, together
from rerank.strategies.places import order_places
from rerank.strategies.votes import Aggregate, elect

R = TypeVar("R")
T = TypeVar("T")


def self_consistent(
    docs: Sequence[T],
    strategy: str = "sliding-window",
    times: int = 5,
    aggregate: Aggregate = "borda",
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Asking[list[T]]:
    """Let a strategy, with its own `options`, ask every order `times` times over.

    `times` as many calls and document slots as the strategy alone, in as many rounds.
    """
    from rerank.strategies import find_strategy  # which knows us, too

    try:
        asking = find_strategy(strategy)(docs, **(options or {}))
    except KeyError:
        raise ValueError(f"there is no strategy {strategy!r} to ask again") from None
    return (yield from consistent(asking, times, aggregate, random.Random(seed)))


def consistent(
    asking: Asking[R], times: int, aggregate: Aggregate, chance: random.Random
) -> Asking[R]:
    """Answer every order that `asking` wants by a vote over shuffled copies, in the same batch.

    The first copy is in the order given, so that once is the asking as it was.
    """
    answers: Any = None
    while True:
        try:
            batch = asking.send(answers)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        answers = yield from together(_poll(one, times, aggregate, chance) for one in batch)


def _poll(
    question: Question[Any], times: int, aggregate: Aggregate, chance: random.Random
) -> Asking[Any]:
    if not isinstance(question, Order):
        return (yield from ask(question))
    docs = question.docs
    given = range(len(docs))
    copies = [list(given), *(chance.sample(given, len(docs)) for _ in range(times - 1))]
    ballots = yield from order_places(docs, copies)
    if all(isinstance(ballot, AsShown) for ballot in ballots):
        return AsShown(docs)
    return [docs[place] for place in elect(ballots, len(docs), aggregate)]
