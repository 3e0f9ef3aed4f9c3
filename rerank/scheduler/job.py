"""One strategy in progress: what it has asked and been told, and what that cost.

Its law: every question has one answer, and what a budget leaves unasked is undecided.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import inf
from time import monotonic
from typing import Any, Generic, TypeVar

from rerank.questions import Asking, Question, undecided
from rerank.records import NO_USAGE, Answer, Status, Usage

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

NUMBERS = count()
"""No two jobs of a Python process share a number, so none gets an answer meant for another."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one query may cost; None is as much as it takes.

    `tokens` are those read and written. What a batch will cost is reckoned from the mean call of
    the query so far, and its first call goes out alone to find that out. `seconds` count from the
    query's first question; nothing is sent after them, and what is out then is taken back.
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
    `slots` documents; `unasked` found its budget spent, or were taken back when its seconds were
    over, the memo answered the rest. `rounds` counts how often it had to wait.

    Those that the memo does not know are numbered as they come, and thousands are with the judge
    at a time: of each it keeps a number and nothing that Python's garbage collector walks over,
    unless its seconds are limited.
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
    _sent: dict[int, Question[Any]] = field(default_factory=dict)  # out, where seconds are limited

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
        if self.budget.seconds is not None:
            self._sent = dict(enumerate(sent, first))
        return first, sent

    def receive(self, number: int, answer: Answer) -> bool:
        """Take an answer; false if the question has one."""
        if self._answers[number] is not UNKNOWN:
            return False
        self._answers[number] = answer.value
        self.out -= 1
        if self._sent:
            del self._sent[number]
        if answer.usage is not NO_USAGE:
            self.usage += answer.usage
        self.statuses[answer.status] += 1
        self.truncated += answer.truncated
        self.cut += answer.cut
        return True

    def seconds_left(self) -> float:
        """Until its budget ends, if that has an end and it has begun."""
        limit = self.budget.seconds
        return inf if limit is None or not self.begun else self.begun + limit - monotonic()

    def take_back(self) -> list[int]:
        """Its seconds are over: what is with the judge is undecided now; the numbers of that."""
        taken = self._sent
        self._undecide(taken)
        self.calls -= len(taken)
        self.slots -= sum(len(question.documents) for question in taken.values())
        self.out, self._sent = 0, {}
        return [*taken]

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
        """What is unsent, and `first` the number of, is asked no more."""
        self._undecide(dict(enumerate(self.unsent, first)))
        self.unsent = []

    def _undecide(self, questions: Mapping[int, Question[Any]]) -> None:
        """These say nothing, and are not remembered."""
        for number, question in questions.items():
            self._answers[number] = undecided(question)
            self._known.pop(question, None)
        self.unasked += sum(number in questions for number in self.batch or ())
