"""Run many strategies over one judge.

A strategy waits only for its own batch, never for its neighbours', so the judge stays busy
while any query still has a question to ask. The scheduler knows which answers are in and what
they cost, and nothing of what they mean.
"""

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Iterator
from threading import Timer
from typing import Any, Generic, Protocol, TypeVar, cast, runtime_checkable

from rerank.errors import EngineError, UsageError
from rerank.questions import Asking, Question
from rerank.records import Answer, Status
from rerank.scheduler.job import NO_LIMIT, Budget, Job

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", contravariant=True)
R = TypeVar("R")

PLACES = 32
"""A ticket is the number of its job and, in so many bits below, that of the question."""


class Judge(Protocol[K_contra]):
    """Answers questions about a query, in its own time and its own order."""

    def submit(self, ticket: Hashable, query: K_contra, question: Question[Any]) -> None:
        """Take one question; its answer comes back under `ticket`."""

    def poll(self) -> Iterable[tuple[Hashable, Answer]]:
        """Wait until something is answered; return whatever is."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """A judge that takes its time: seconds are kept to with no other."""

    def wake(self) -> None:
        """From any thread: let a poll that waits return now."""

    def cancel(self, tickets: Collection[Hashable]) -> None:
        """Nobody waits for the answers to these any more."""


class Drive(Generic[K, R]):
    """Jobs in progress over one judge. Whoever holds it decides what is begun, and when to wait.

    With `on_error="raise"` a failed answer raises `EngineError`; with "keep" it ends its job.
    """

    def __init__(self, judge: Judge[K], *, memo: bool = True, on_error: str = "raise") -> None:
        self._judge, self._memo, self._on_error = judge, memo, on_error
        self._waiting: dict[int, Job[K, R]] = {}
        self._interruptible = judge if isinstance(judge, Interruptible) else None
        self._timed: set[Job[K, R]] = set()  # of those that wait, whose seconds are limited
        self.out = 0  # so many questions are with the judge
        self.ready: deque[Job[K, R]] = deque()

    def send(self, job: Job[K, R]) -> bool:
        """Resume a job that is ready and send off what it asks; true if that was its end."""
        try:
            if not job.unsent:
                job.resume(self._memo)
        except StopIteration as done:
            job.ranking = done.value
            return True
        first, sent = job.spend()
        if not sent:
            self.ready.append(job)
            return False
        self._waiting[job.number] = job
        if self._interruptible and job.budget.seconds is not None:
            self._timed.add(job)
        self.out += len(sent)
        submit, query = self._judge.submit, job.query
        for ticket, question in enumerate(sent, (job.number << PLACES) + first):
            submit(ticket, query, question)
        return False

    def receive(self) -> Iterator[Job[K, R]]:
        """Wait for answers; what they complete is ready, and a job that one of them ends is here.

        An answer that nobody waits for was asked by a drive that was given up, or by a job that
        was dropped.
        """
        for ticket, answer in self._polled_in_time() if self._timed else self._judge.poll():
            number, place = divmod(cast(int, ticket), 1 << PLACES)
            job = self._waiting.get(number)
            if job is None or not job.receive(place, answer):
                continue
            self.out -= 1
            if answer.status is Status.FAILED:
                _fail(job, answer, self._on_error)
            if not job.out and self._ends(job):
                yield job
        for job in [job for job in self._timed if job.seconds_left() <= 0]:
            self._take_back(job)
            if self._ends(job):
                yield job

    def _ends(self, job: Job[K, R]) -> bool:
        """Whether a job that waits for nothing more has failed; else it is ready."""
        del self._waiting[job.number]
        self._timed.discard(job)
        if not job.error:
            self.ready.append(job)
        return bool(job.error)

    def _take_back(self, job: Job[K, R]) -> None:
        """Ask no more for what a job whose seconds are over has with the judge."""
        assert self._interruptible
        numbers = job.take_back()
        self.out -= len(numbers)
        self._interruptible.cancel([(job.number << PLACES) + number for number in numbers])

    def _polled_in_time(self) -> Iterable[tuple[Hashable, Answer]]:
        """Wait for answers, and no longer than until the seconds of a job are over."""
        assert self._interruptible
        first = min(job.seconds_left() for job in self._timed)
        alarm = Timer(max(first, 0), self._interruptible.wake)
        alarm.daemon = True
        alarm.start()
        try:
            return self._judge.poll()
        finally:
            alarm.cancel()

    def drop(self, job: Job[K, R]) -> list[Hashable]:
        """Forget a job; the tickets of its questions that are still with the judge."""
        job.strategy.close()
        if job in self.ready:
            self.ready.remove(job)
        self._timed.discard(job)
        if self._waiting.pop(job.number, None) is None:
            return []
        self.out -= job.out
        return [(job.number << PLACES) + number for number in job.unanswered()]


def drive(
    strategies: Iterable[tuple[K, Asking[R]]],
    judge: Judge[K],
    *,
    at_once: int = 4096,
    memo: bool = True,
    budget: Budget = NO_LIMIT,
    on_error: str = "raise",
) -> Iterator[Job[K, R]]:
    """Advance every strategy as its answers arrive; yield each job as it finishes.

    No query is begun while `at_once` questions are out; those begun go on first. With `memo`, a
    question that a query has asked before, its documents in the same order, is answered from
    memory. Once a query has spent its `budget` nothing that it asks is decided, so that it ends by
    itself, with its best ranking so far. A failed answer raises `EngineError`; with
    `on_error="keep"` it ends its job instead, without a ranking and with the error. A drive that
    is given up may leave questions with the judge; their answers mean nothing to the next one.
    """
    if at_once < 1 or on_error not in ("raise", "keep"):
        raise UsageError(f"at_once is 1 or more, on_error raise or keep: not {at_once}, {on_error}")
    waiting = (Job(query, strategy, budget=budget) for query, strategy in strategies)
    jobs: Drive[K, R] = Drive(judge, memo=memo, on_error=on_error)
    more = True
    while more or jobs.ready or jobs.out:
        while jobs.ready or (more and jobs.out < at_once):
            job = jobs.ready.popleft() if jobs.ready else next(waiting, None)
            if job is None:
                more = False
            elif jobs.send(job):
                yield job
        if jobs.out:
            yield from jobs.receive()


def _fail(job: Job[K, R], answer: Answer, on_error: str) -> None:
    """A job whose question found no answer ends once all that it has asked is in."""
    job.error = job.error or answer.error or "the engine gave no reply"
    job.strategy.close()
    if on_error == "raise":
        raise EngineError(f"query {getattr(job.query, 'id', job.query)!r}: {job.error}")
