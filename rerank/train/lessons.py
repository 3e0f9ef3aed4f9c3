"""What each step has: which queries, and what the students read of their texts, ahead of time.

Law: that depends on the recipe, the data and the number of the step alone, so that processes of
their own may word and tokenise the steps to come while this one learns. They touch no weights.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from multiprocessing import get_context
from random import Random
from typing import Any, NamedTuple

from rerank.errors import EngineError
from rerank.train.data import Example, shown
from rerank.train.recipes import TrainRecipe
from rerank.train.students import Student


class Part(NamedTuple):
    """Queries for one forward pass of each student, and what each reads of them."""

    examples: list[Example]
    read: list[Any]


Lesson = list[Part]

AHEAD = 3
"""How many steps wait for each process."""

_MAKERS: list[Callable[[int], Lesson]] = []
"""In a process that reads ahead: what makes its lessons, and nothing else."""


def lessons(
    recipe: TrainRecipe, found: list[Example], students: Sequence[Student], start: int
) -> Iterator[Lesson]:
    """The lesson of every step from `start` on."""
    make = partial(lesson, recipe, found, students)
    steps = range(start, recipe.steps)
    return ahead(make, steps, recipe.workers) if recipe.workers else map(make, steps)


def lesson(
    recipe: TrainRecipe, found: list[Example], students: Sequence[Student], step: int
) -> Lesson:
    """A step's queries, `at_once` of them together."""
    asked, parts = batch(recipe, found, step), []
    for start in range(0, len(asked), recipe.at_once):
        some = asked[start : start + recipe.at_once]
        parts.append(Part(some, [student.read(some) for student in students]))
    return parts


def batch(recipe: TrainRecipe, found: list[Example], step: int) -> list[Example]:
    """The step's queries: every epoch has each of them once, in an order of its own."""
    start = step * recipe.batch
    return [
        shown(
            found[_shuffled(len(found), recipe.seed, at // len(found))[at % len(found)]],
            recipe.data.docs,
            recipe.data.shuffle,
            f"{recipe.seed} {at // len(found)}",
        )
        for at in range(start, start + recipe.batch)
    ]


def ahead(make: Callable[[int], Lesson], steps: Iterable[int], workers: int) -> Iterator[Lesson]:
    """What `make` makes of each step, in order, by processes that have all that this one has."""
    pool = ProcessPoolExecutor(workers, get_context("fork"), _become, (make,))
    waiting = deque[Future[Lesson]]()
    try:
        for step in steps:
            waiting.append(pool.submit(_made, step))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise EngineError(
            "a process that reads ahead was killed, perhaps for want of memory; the same command"
            " goes on from the last checkpoint (key 'workers' says how many there are)"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _become(make: Callable[[int], Lesson]) -> None:
    _MAKERS[:] = [make]
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # or it warns of the fork


def _made(step: int) -> Lesson:
    return _MAKERS[0](step)


@lru_cache(maxsize=2)
def _shuffled(count: int, seed: int, epoch: int) -> list[int]:
    order = list(range(count))
    Random(f"{seed} {epoch}").shuffle(order)
    return order
