"""Run many strategies over one judge.

A strategy waits only for its own batch, never for its neighbours', so the judge stays busy
while any query still has a question to ask. The scheduler knows which answers are in and what
they cost, and nothing of what they mean.
"""

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from rerank.errors import EngineError, UsageError
from rerank.questions import Asking, Question, undecided
from rerank.records import NO_USAGE, Answer, Status, Usage

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


@dataclass(frozen=True, slots=True)
class Budget:
    """What one query may cost; None is as much as it takes.

    `tokens` are those read and written. What a batch will cost is reckoned from the mean call of
    the query so far, and its first call goes out alone to find that out. `seconds` count from the
    query's first question; nothing is sent after them, but what is out is waited for.
    """

    calls: int | None = None
    tokens: int | None = None
    seconds: float | None = None


NO_LIMIT = Budget()
UNKNOWN = object()
Unsent: TypeAlias = tuple[Question[Any], list[int]]
"""A question, with the places in its batch that it answers."""


@dataclass(eq=False, slots=True)
class Job(Generic[K, R]):
    """A strategy in progress: the answers that its batch has so far, and what it cost.

    `questions` were asked by the strategy, `calls` of them were sent to the judge, showing
    `slots` documents; `unasked` found its budget spent, the memo answered the rest. `rounds`
    counts how often it had to wait.
    """

    query: K
    strategy: Asking[R]
    budget: Budget = NO_LIMIT
    ranking: R | None = None  # None: not finished, or failed
    answers: list[Any] | None = None  # None starts a generator
    out: int = 0  # of its questions, so many are with the judge
    unsent: list[Unsent] = field(default_factory=list)
    questions: int = 0
    calls: int = 0
    slots: int = 0
    unasked: int = 0
    rounds: int = 0
    begun: float = 0.0  # when its first question went out
    usage: Usage = NO_USAGE
    statuses: Counter[Status] = field(default_factory=Counter)
    truncated: int = 0
    cut: int = 0
    error: str = ""
    known: dict[Question[Any], Any] = field(default_factory=dict)

    def resume(self, memo: bool) -> None:
        """Send the answers; the next batch is unsent. Raises StopIteration with the ranking."""
        batch = self.strategy.send(self.answers)  # type: ignore[arg-type]
        self.answers = [None] * len(batch)
        self.questions += len(batch)
        self.unsent = self._unknown(batch, memo)

    def spend(self) -> list[Unsent]:
        """What goes out now; when that is nothing, what is unsent stays undecided."""
        room = 0 if self.unasked else self._room()
        sent, self.unsent = self.unsent[:room], self.unsent[room:]
        if not sent:
            self._leave_undecided()
            return []
        self.begun = self.begun or monotonic()
        self.calls += len(sent)
        for question, _ in sent:
            self.slots += len(question.documents)
        self.rounds += 1
        self.out = len(sent)
        return sent

    def receive(self, places: list[int], question: Question[Any], answer: Answer) -> None:
        """Take an answer for every place of the batch that asked this question."""
        self.out -= 1
        self.known[question] = answer.value
        self._fill(places, answer.value)
        if answer.usage is not NO_USAGE:
            self.usage += answer.usage
        self.statuses[answer.status] += 1
        self.truncated += answer.truncated
        self.cut += answer.cut

    def _fill(self, places: list[int], value: Any) -> None:
        assert self.answers is not None
        for place in places:
            self.answers[place] = value

    def _unknown(self, batch: list[Question[Any]], memo: bool) -> list[Unsent]:
        """The questions of a batch that must be sent; the memo answers the others."""
        if not memo:
            return [(question, [place]) for place, question in enumerate(batch)]
        fresh: dict[Question[Any], list[int]] = {}
        for place, question in enumerate(batch):
            if (value := self.known.get(question, UNKNOWN)) is not UNKNOWN:
                self._fill([place], value)
            elif (places := fresh.setdefault(question, [place]))[-1] != place:
                places.append(place)
        return list(fresh.items())

    def _room(self) -> int:
        """How many of the unsent questions may go out before their costs are looked at again."""
        budget, room = self.budget, len(self.unsent)
        if budget.seconds is not None and self.begun:
            room *= monotonic() - self.begun < budget.seconds
        if budget.calls is not None:
            room = min(room, budget.calls - self.calls)
        if budget.tokens is not None:
            spent = self.usage.prompt_tokens + self.usage.completion_tokens
            left = (budget.tokens - spent) * self.calls
            room = min(room, (left // spent if spent else room) if self.calls else 1)
        return max(room, 0)

    def _leave_undecided(self) -> None:
        for question, places in self.unsent:
            self._fill(places, undecided(question))
            self.unasked += len(places)
        self.unsent = []


class Drive(Generic[K, R]):
    """Jobs in progress over one judge. Whoever holds it decides what is begun, and when to wait.

    With `on_error="raise"` a failed answer raises `EngineError`; with "keep" it ends its job.
    """

    def __init__(self, judge: Judge[K], *, memo: bool = True, on_error: str = "raise") -> None:
        self._judge, self._memo, self._on_error = judge, memo, on_error
        self._out: dict[Hashable, tuple[Job[K, R], list[int], Question[Any]]] = {}
        self.ready: deque[Job[K, R]] = deque()

    @property
    def out(self) -> int:
        """How many questions are with the judge."""
        return len(self._out)

    def send(self, job: Job[K, R]) -> bool:
        """Resume a job that is ready and send off what it asks; true if that was its end."""
        try:
            if not job.unsent:
                job.resume(self._memo)
        except StopIteration as done:
            job.ranking = done.value
            return True
        out, submit, query = self._out, self._judge.submit, job.query
        for question, places in job.spend():
            new = next(TICKETS)
            out[new] = job, places, question
            submit(new, query, question)
        if not job.out:
            self.ready.append(job)
        return False

    def receive(self) -> Iterator[Job[K, R]]:
        """Wait for answers; what they complete is ready, and a job that one of them ends is here.

        An answer that nobody waits for was asked by a drive that was given up, or by a job that
        was dropped.
        """
        for ticket, answer in self._judge.poll():
            if ticket not in self._out:
                continue
            job, places, question = self._out.pop(ticket)
            job.receive(places, question, answer)
            if answer.status is Status.FAILED:
                _fail(job, answer, self._on_error)
            if not job.out and job.error:
                yield job
            elif not job.out:
                self.ready.append(job)

    def drop(self, job: Job[K, R]) -> list[Hashable]:
        """Forget a job; the tickets of its questions that are still with the judge."""
        job.strategy.close()
        if job in self.ready:
            self.ready.remove(job)
        tickets = [ticket for ticket, (owner, *_) in self._out.items() if owner is job]
        for ticket in tickets:
            del self._out[ticket]
        return tickets


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
