"""What a strategy may ask, and how it asks.

A strategy is a generator: it yields a batch of questions, is sent their answers in the same
order, and returns a ranking. It never learns who answers, or for which query. Answers may be
remembered and given again: a strategy changes none of them.
"""

import math
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
R = TypeVar("R")
T = TypeVar("T")


class Question(Generic[A_co]):
    """Something that only a judge can say; its answer is an A."""

    __slots__ = ()

    @property
    def documents(self) -> tuple[Any, ...]:
        """The documents that it shows, in order: what prefill costs."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Rate(Question[float]):
    """How relevant is this document? Any number that sorts, higher is better."""

    doc: Any

    @property
    def documents(self) -> tuple[Any, ...]:
        return (self.doc,)


@dataclass(frozen=True, slots=True)
class Compare(Question[float]):
    """How strongly is `a` preferred to `b`? In [0, 1]; 0.5 is undecided."""

    a: Any
    b: Any

    @property
    def documents(self) -> tuple[Any, ...]:
        return (self.a, self.b)


@dataclass(frozen=True, slots=True)
class Pick(Question[list[float]]):
    """Which document is the most relevant? A weight for each, the best has the most."""

    docs: tuple[Any, ...]

    @property
    def documents(self) -> tuple[Any, ...]:
        return self.docs


@dataclass(frozen=True, slots=True)
class Order(Question[list[T]], Generic[T]):
    """Put these documents in order: all of them, best first."""

    docs: tuple[T, ...]

    @property
    def documents(self) -> tuple[Any, ...]:
        return self.docs


class AsShown(list[T]):
    """An order that nobody decided: the documents as they were shown.

    A strategy that showed them shuffled can tell it from an answer.
    """


def undecided(question: Question[Any]) -> Any:
    """The answer that decides nothing; documents rated so follow all others."""
    match question:
        case Rate():
            return -math.inf
        case Compare():
            return 0.5
        case Pick(docs):
            return [0.0] * len(docs)
        case Order(docs):
            return AsShown(docs)
    raise TypeError(f"nothing is known of {question!r}")


Asking: TypeAlias = Generator[list[Question[Any]], list[Any], R]
"""A computation that pauses to ask batches of questions, then returns an R."""


def ask(question: Question[A]) -> Asking[A]:
    """Ask one question: `answer = yield from ask(Rate(doc))`."""
    [answer] = yield [question]
    return answer  # type: ignore[no-any-return]


def ask_all(questions: Iterable[Question[A]]) -> Asking[list[A]]:
    """Ask many at once; none waits for another."""
    return (yield list(questions))


class Crew(Generic[R]):
    """Askings side by side, each under a key; any of them may begin while others are under way.

    What they ask is one `batch`, and they go on when they are told its answers.
    """

    def __init__(self) -> None:
        self.asking: dict[Any, tuple[Asking[R], list[Question[Any]]]] = {}
        self._ended: dict[Any, R] = {}

    def begin(self, key: Any, asking: Asking[R]) -> None:
        """Up to its first questions."""
        self._go_on(key, asking, None)

    def batch(self) -> list[Question[Any]]:
        """What all of them ask now."""
        return [question for _, asked in self.asking.values() for question in asked]

    def tell(self, answers: list[Any]) -> dict[Any, R]:
        """Answers to the batch; the results of those that have ended, with these or before them."""
        under_way, self.asking, end = self.asking, {}, 0
        for key, (asking, asked) in under_way.items():
            begin, end = end, end + len(asked)
            self._go_on(key, asking, answers[begin:end])
        ended, self._ended = self._ended, {}
        return ended

    def _go_on(self, key: Any, asking: Asking[R], told: Any) -> None:
        try:
            self.asking[key] = asking, asking.send(told)
        except StopIteration as done:
            self._ended[key] = done.value


def together(parts: Iterable[Asking[R]]) -> Asking[list[R]]:
    """Advance independent askings side by side: their next batches go out as one."""
    crew: Crew[R] = Crew()
    askings, results = list(parts), dict[int, R]()
    for place, asking in enumerate(askings):
        crew.begin(place, asking)
    while len(results) < len(askings):
        batch = crew.batch()
        results |= crew.tell((yield batch) if batch else [])
    return [results[place] for place in range(len(askings))]
