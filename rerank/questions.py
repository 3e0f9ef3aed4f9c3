"""What a strategy may ask, and how it asks.

A strategy is a generator: it yields a batch of questions, is sent their answers in the same
order, and returns a ranking. It never learns who answers, or for which query.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
R = TypeVar("R")
T = TypeVar("T")


class Question(Generic[A_co]):
    """Something that only a judge can say; its answer is an A."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Rate(Question[float]):
    """How relevant is this document? Any number that sorts, higher is better."""

    doc: Any


@dataclass(frozen=True, slots=True)
class Compare(Question[float]):
    """How strongly is `a` preferred to `b`? In [0, 1]; 0.5 is undecided."""

    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Pick(Question[list[float]]):
    """Which document is the most relevant? A weight for each, the best has the most."""

    docs: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Order(Question[list[T]], Generic[T]):
    """Put these documents in order: all of them, best first."""

    docs: tuple[T, ...]


Asking: TypeAlias = Generator[list[Question[Any]], list[Any], R]
"""A computation that pauses to ask batches of questions, then returns an R."""


def ask(question: Question[A]) -> Asking[A]:
    """Ask one question: `answer = yield from ask(Rate(doc))`."""
    [answer] = yield [question]
    return answer  # type: ignore[no-any-return]


def ask_all(questions: Iterable[Question[A]]) -> Asking[list[A]]:
    """Ask many at once; none waits for another."""
    return (yield list(questions))


def together(parts: Sequence[Asking[R]]) -> Asking[list[R]]:
    """Advance independent askings side by side: their next batches go out as one."""
    results: list[Any] = [None] * len(parts)
    sends: list[tuple[int, list[Any] | None]] = [(i, None) for i in range(len(parts))]
    while sends:
        batches = _advance(parts, sends, results)
        answers = yield [question for _, batch in batches for question in batch]
        sends, at = [], 0
        for i, batch in batches:
            sends.append((i, answers[at : at + len(batch)]))
            at += len(batch)
        if not batches:
            break
    return results


def _advance(
    parts: Sequence[Asking[R]], sends: list[tuple[int, list[Any] | None]], results: list[Any]
) -> list[tuple[int, list[Question[Any]]]]:
    """Send each part its answers; keep what it asks next, or what it returned."""
    batches = []
    for i, answers in sends:
        try:
            batches.append((i, parts[i].send(answers)))  # type: ignore[arg-type]
        except StopIteration as done:
            results[i] = done.value
    return batches
