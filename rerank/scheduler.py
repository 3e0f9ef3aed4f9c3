"""Run many strategies over one judge.

A strategy waits only for its own batch, never for its neighbours', so the judge stays busy
while any query still has a question to ask. The scheduler knows which answers are in, and
nothing of what they mean.
"""

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

from rerank.errors import EngineError, UsageError
from rerank.questions import Asking, Question
from rerank.records import Answer, Status, Usage

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", contravariant=True)
R = TypeVar("R")

TICKETS = count()
"""No two questions of a Python process share a ticket, so none gets an answer meant for another."""


class Judge(Protocol[K_contra]):
    """Answers questions about a query, in its own time and its own order."""

    def submit(self, ticket: Hashable, query: K_contra, question: Question[Any]) -> None:
        """Take one question; its answer comes back under `ticket`."""

    def poll(self) -> Iterable[tuple[Hashable, Answer]]:
        """Wait until something is answered; return whatever is."""
        ...


@dataclass(eq=False, slots=True)
class Job(Generic[K, R]):
    """A strategy in progress: the answers that its batch has so far, and what it cost.

    `questions` were asked by the strategy, `calls` of them were sent to the judge, showing
    `slots` documents; the memo answered the rest. `rounds` counts the batches that had to wait.
    """

    query: K
    strategy: Asking[R]
    ranking: R | None = None  # None: not finished, or failed
    answers: list[Any] | None = None  # None starts a generator
    missing: int = 0
    questions: int = 0
    calls: int = 0
    slots: int = 0
    rounds: int = 0
    usage: Usage = field(default_factory=Usage)
    statuses: Counter[Status] = field(default_factory=Counter)
    truncated: int = 0
    cut: int = 0
    error: str = ""
    known: dict[Question[Any], Any] = field(default_factory=dict)

    def resume(self) -> list[Question[Any]]:
        """Send the answers; return the next batch. Raises StopIteration with the ranking."""
        batch = self.strategy.send(self.answers)  # type: ignore[arg-type]
        self.answers, self.missing = [None] * len(batch), len(batch)
        self.questions += len(batch)
        return batch

    def receive(self, places: list[int], question: Question[Any], answer: Answer) -> None:
        """Take an answer for every place of the batch that asked this question."""
        assert self.answers is not None
        self.known[question] = answer.value
        for place in places:
            self.answers[place] = answer.value
        self.missing -= len(places)
        self.usage += answer.usage
        self.statuses[answer.status] += 1
        self.truncated += answer.truncated
        self.cut += answer.cut


def drive(
    strategies: Iterable[tuple[K, Asking[R]]],
    judge: Judge[K],
    *,
    at_once: int = 4096,
    memo: bool = True,
    on_error: str = "raise",
) -> Iterator[Job[K, R]]:
    """Advance every strategy as its answers arrive; yield each job as it finishes.

    No query is begun while `at_once` questions are out; those begun go on first. With `memo`, a
    question that a query has asked before, its documents in the same order, is answered from
    memory. A failed answer raises `EngineError`; with `on_error="keep"` it ends its job instead,
    without a ranking and with the error. A drive that is given up may leave questions with the
    judge; their answers mean nothing to the next one.
    """
    if at_once < 1 or on_error not in ("raise", "keep"):
        raise UsageError(f"at_once is 1 or more, on_error raise or keep: not {at_once}, {on_error}")
    waiting = iter(strategies)
    ready: deque[Job[K, R]] = deque()
    out: dict[Hashable, tuple[Job[K, R], list[int], Question[Any]]] = {}
    more = True
    while more or ready or out:
        while ready or (more and len(out) < at_once):
            if not ready:
                more = _begin(waiting, ready)
                continue
            job = ready.popleft()
            try:
                batch = job.resume()
            except StopIteration as done:
                job.ranking = done.value
                yield job
                continue
            for question, places in _unknown(job, batch, memo):
                new = next(TICKETS)
                out[new] = job, places, question
                judge.submit(new, job.query, question)
            if not job.missing:
                ready.append(job)
        for ticket, answer in judge.poll() if out else ():
            if ticket not in out:
                continue  # it was asked by a drive that was given up
            job, places, question = out.pop(ticket)
            if job.error:
                continue
            job.receive(places, question, answer)
            if answer.status is Status.FAILED:
                yield _failed(job, answer, on_error)
            elif not job.missing:
                ready.append(job)


def _begin(waiting: Iterator[tuple[K, Asking[R]]], ready: deque[Job[K, R]]) -> bool:
    """Make the next query ready; false when there is none."""
    for query, strategy in waiting:
        ready.append(Job(query, strategy))
        return True
    return False


def _unknown(
    job: Job[K, R], batch: list[Question[Any]], memo: bool
) -> list[tuple[Question[Any], list[int]]]:
    """The questions that must be sent, each with the places in the batch that it answers."""
    assert job.answers is not None
    job_knows = job.known if memo else {}
    fresh: dict[Any, tuple[Question[Any], list[int]]] = {}
    for place, question in enumerate(batch):
        if question in job_knows:
            job.answers[place] = job_knows[question]
            job.missing -= 1
        else:
            fresh.setdefault(question if memo else place, (question, []))[1].append(place)
    job.calls += len(fresh)
    job.rounds += bool(fresh)
    job.slots += sum(len(question.documents) for question, _ in fresh.values())
    return list(fresh.values())


def _failed(job: Job[K, R], answer: Answer, on_error: str) -> Job[K, R]:
    """End a job whose question found no answer."""
    job.error = answer.error or "the engine gave no reply"
    job.strategy.close()
    if on_error == "raise":
        raise EngineError(f"query {getattr(job.query, 'id', job.query)!r}: {job.error}")
    return job
