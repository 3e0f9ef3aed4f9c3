"""Rate long documents by their parts, whatever strategy asks for ratings.

A strategy's `Rate` of a document becomes one of each part, and the ratings one number again. The
strategy does not notice.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from rerank.questions import Asking, Question, Rate

R = TypeVar("R")


class Parts(NamedTuple):
    """How a document is taken apart, and how the ratings of its parts become its own."""

    of: Callable[[Any], Sequence[Any]]
    joined: Callable[[Sequence[float]], float]


def in_parts(asking: Asking[R], parts: Parts) -> Asking[R]:
    """The same asking, its documents rated part by part; all parts of a batch go out together."""
    answers: Any = None
    while True:
        try:
            questions = asking.send(answers)
        except StopIteration as done:
            ranking: R = done.value
            return ranking
        taken = [_taken(question, parts) for question in questions]
        ratings = yield [question for shown in taken for question in shown]
        answers, start = [], 0
        for shown in taken:
            answers.append(parts.joined(ratings[start : start + len(shown)]))
            start += len(shown)


def _taken(question: Question[Any], parts: Parts) -> list[Question[Any]]:
    if not isinstance(question, Rate):
        raise ValueError(
            f"parts are rated one by one, and it asks {type(question).__name__}; take a pointwise"
            " method"
        )
    return [Rate(part) for part in parts.of(question.doc)]
