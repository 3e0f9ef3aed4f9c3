"""Run many strategies over one judge.

A strategy waits only for its own batch, never for its neighbours', so the judge stays busy
while any query still has a question to ask. The scheduler knows which answers are in and what
they cost, and nothing of what they mean.
"""

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar, cast

from rerank.errors import EngineError, UsageError
from rerank.questions import Asking, Question, undecided
from rerank.records import NO_USAGE, Answer, Status, Usage

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", contravariant=True)
R = TypeVar("R")

NUMBERS = count()
"""No two jobs of a Python process share a number, so none gets an answer meant for another."""

PLACES = 32
"""A ticket is the number of its job and, in so many bits below, that of the question."""


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
UNKNOWN: Any = object()


@dataclass(eq=False, slots=True)
class Job(Generic[K, R]):
    """A strategy in progress: the answers that it has so far, and what they cost.

    `questions` were asked by the strategy, `calls` of them were sent to the judge, showing
    `slots` documents; `unasked` found its budget spent, the memo answered the rest. `rounds`
    counts how often it had to wait.

    Those that the memo does not know are numbered as they come, and thousands are with the judge
    at a time: of each it keeps a number and nothing that Python's garbage collector walks over.
    """

    query: K
    strategy: Asking[R]
    budget: Budget = NO_LIMIT
    number: int = field(default_factory=NUMBERS.__next__)
    ranking: R | None = None  # None: not finished, or failed
    batch: Sequence[int] | None = None  # the numbers of what it asks; None starts a generator
    unsent: list[Question[Any]] = field(default_factory=list)  # the last ones of those numbered
    out: int = 0  # of its questions, so many are with the judge
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
    _answers: list[Any] = field(default_factory=list)  # by number
    _known: dict[Question[Any], int] = field(default_factory=dict)

    def told(self, question: Question[Any]) -> Any:
        """The answer to a question that the memo knows; None if it was not sent, or failed."""
        number = self._known.get(question)
        found = UNKNOWN if number is None else self._answers[number]
        return None if found is UNKNOWN else found

    def resume(self, memo: bool) -> None:
        """Send the answers; the next batch is unsent. Raises StopIteration with the ranking."""
        told = None if self.batch is None else [self._answers[number] for number in self.batch]
        batch = self.strategy.send(told)  # type: ignore[arg-type]
        self.questions += len(batch)
        if memo:
            self._recall(batch)
        else:
            begin = len(self._answers)
            self.batch, self.unsent = range(begin, begin + len(batch)), batch
            self._answers += [UNKNOWN] * len(batch)

    def spend(self) -> tuple[int, Sequence[Question[Any]]]:
        """What goes out now, and its first number; if it is nothing, the rest stays undecided."""
        first = len(self._answers) - len(self.unsent)
        if self.budget is NO_LIMIT:
            sent, self.unsent = self.unsent, []
        else:
            room = 0 if self.unasked else self._room()
            sent, self.unsent = self.unsent[:room], self.unsent[room:]
        if not sent:
            self._leave_undecided(first)
            return first, sent
        self.begun = self.begun or monotonic()
        self.calls += len(sent)
        self.slots += sum([len(question.documents) for question in sent])
        self.rounds += 1
        self.out = len(sent)
        return first, sent

    def receive(self, number: int, answer: Answer) -> bool:
        """Take an answer; false if the question has one."""
        if self._answers[number] is not UNKNOWN:
            return False
        self._answers[number] = answer.value
        self.out -= 1
        if answer.usage is not NO_USAGE:
            self.usage += answer.usage
        self.statuses[answer.status] += 1
        self.truncated += answer.truncated
        self.cut += answer.cut
        return True

    def unanswered(self) -> list[int]:
        """The numbers of its questions that are with the judge."""
        sent = self._answers[: len(self._answers) - len(self.unsent)]
        return [number for number, answer in enumerate(sent) if answer is UNKNOWN]

    def _recall(self, batch: Sequence[Question[Any]]) -> None:
        """Number a batch; what the memo does not know must be sent."""
        known, answers = self._known.setdefault, self._answers
        self.batch, self.unsent = numbers, unsent = [], []
        for question in batch:
            number = known(question, len(answers))
            if number == len(answers):
                answers.append(UNKNOWN)
                unsent.append(question)
            numbers.append(number)

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

    def _leave_undecided(self, first: int) -> None:
        """What is unsent, and `first` the number of, says nothing, and is not remembered."""
        for number, question in enumerate(self.unsent, first):
            self._answers[number] = undecided(question)
            self._known.pop(question, None)
        self.unasked += sum(number >= first for number in self.batch or ())
        self.unsent = []


class Drive(Generic[K, R]):
    """Jobs in progress over one judge. Whoever holds it decides what is begun, and when to wait.

    With `on_error="raise"` a failed answer raises `EngineError`; with "keep" it ends its job.
    """

    def __init__(self, judge: Judge[K], *, memo: bool = True, on_error: str = "raise") -> None:
        self._judge, self._memo, self._on_error = judge, memo, on_error
        self._waiting: dict[int, Job[K, R]] = {}
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
        for ticket, answer in self._judge.poll():
            number, place = divmod(cast(int, ticket), 1 << PLACES)
            job = self._waiting.get(number)
            if job is None or not job.receive(place, answer):
                continue
            self.out -= 1
            if answer.status is Status.FAILED:
                _fail(job, answer, self._on_error)
            if job.out:
                continue
            del self._waiting[job.number]
            if job.error:
                yield job
            else:
                self.ready.append(job)

    def drop(self, job: Job[K, R]) -> list[Hashable]:
        """Forget a job; the tickets of its questions that are still with the judge."""
        job.strategy.close()
        if job in self.ready:
            self.ready.remove(job)
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
