"""What a method will ask, before any model is loaded: rehearse it and count.

Strategies are played against a judge whose truth agrees with the first stage as much as a
BM25 ranking does (correlation 0.5). Where the number of questions is a formula this gives it
exactly; where it depends on the answers, within about ten per cent (algorithms.md 1.1).
"""

import functools
import inspect
import json
import math
import random
import traceback
from collections import Counter
from collections.abc import Generator, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pydantic

from rerank.checking import FINITE, said
from rerank.errors import UsageError
from rerank.judges import Oracle
from rerank.methods import Method
from rerank.prompts import Prompt, read_prompt
from rerank.questions import Asking, Question
from rerank.records import Answer, Doc, Query
from rerank.scheduler import NO_LIMIT, Budget, Job, drive
from rerank.strategies import STRATEGIES, Strategy, find_strategy, options_of
from rerank.strategies.listwise import carried
from rerank.strategies.parts import in_parts
from rerank.wants import Labels, Pair, Request, Text

CHARACTERS_A_TOKEN = 4
REHEARSED = 5  # queries whose prompts are really worded,
WORDED = 1000  # and about how many of their questions


@dataclass(frozen=True, slots=True)
class Cost:
    """What a set of queries costs; `rounds` is the mean for one query, tokens are estimates.

    `widest` is the number of documents in the question that shows the most.
    """

    queries: int
    calls: int
    slots: int
    rounds: float
    prompt_tokens: int
    completion_tokens: int
    widest: int


def strategy_of(row: Method) -> tuple[Strategy, Prompt | None]:
    """The strategy and prompt of a method's row, checked against each other and their options."""
    strategy = _strategy(row.strategy)
    known = options_of(strategy)
    for name, value in row.options.items():
        if name not in known:
            takes = ", ".join(known) or "none"
            raise UsageError(f"strategy {row.strategy} has no option {name!r}; it takes: {takes}")
        if row.strategy in STRATEGIES and (mistake := _mistake(strategy, name, value)):
            raise UsageError(f"strategy {row.strategy}: option {name} is {value!r}; {mistake}")
    if not row.prompt:
        return strategy, None
    prompt = read_prompt(row.prompt)
    return strategy, prompt.instructed(row.instruction) if row.instruction else prompt


def asking(row: Method, docs: Sequence[Doc]) -> Asking[list[Doc]]:
    """A row's strategy over these documents. What it returns must be all of them, each once.

    Documents that it fetched itself may stand among them (adaptive retrieval does so).
    """
    asked = find_strategy(row.strategy)(docs, **row.options)
    asked = in_parts(asked, row.parts) if row.parts else asked
    ranking = yield from asked if row.strategy in STRATEGIES else _blamed(asked, row.strategy)
    counted = Counter(ranking) if isinstance(ranking, list) else Counter()
    if not counted.keys() >= set(docs) or len(counted) != counted.total():
        raise UsageError(
            f"strategy {row.strategy} did not return its {len(docs)} documents, each once"
        )
    return ranking


def _blamed(asked: Asking[Any], name: str) -> Asking[Any]:
    """Somebody's own strategy: what it does wrong is said in one line with its name."""
    answers: Any = None
    while True:
        try:
            batch = asked.send(answers)
        except StopIteration as done:
            return done.value
        except Exception as mistake:
            raise UsageError(f"strategy {name}: {_line(mistake)}") from mistake
        if not (isinstance(batch, list) and all(isinstance(q, Question) for q in batch)):
            raise UsageError(f"strategy {name} yields {batch!r}; it should be a list of questions")
        answers = yield batch


def _line(mistake: Exception) -> str:
    """What was raised, and on which line of whose file."""
    place = traceback.extract_tb(mistake.__traceback__)[-1]
    said = " ".join(str(mistake).split())
    return f"{type(mistake).__name__}: {said} (line {place.lineno} of {place.filename})"


def warnings(row: Method, depth: int, near: int | None = None) -> list[str]:
    """What a row can do with `depth` candidates but should not be trusted with.

    `near` is how many neighbours a document has, where there could be some.
    """
    options = {**options_of(find_strategy(row.strategy)), **row.options}
    if "neighbours" in options and near == 0:
        return [
            f"{row.strategy} looks at the candidates alone: give it neighbours,"
            ' as in neighbours = { from = "bm25", k = 16 }'
        ]
    if row.strategy != "sliding-window":
        return []
    window, stride, passes, k = (options[key] for key in ("window", "stride", "passes", "k"))
    places = carried(window, stride, passes)
    if depth <= window or places >= min(k, depth):
        return []
    return [
        f"windows of {window} with stride {stride} and {passes} pass(es) are sure to carry only"
        f" the best {places} documents to the top, not {k}"
    ]


def expect(
    row: Method,
    candidates: Mapping[Query, Sequence[Doc]],
    *,
    memo: bool = True,
    budget: Budget = NO_LIMIT,
    worded: bool = True,
    near: int = 0,
) -> Cost:
    """What ranking these candidates will cost; refuses a strategy and a prompt that do not fit.

    Without words (an oracle needs none) there are no tokens to count. A rehearsal knows when calls
    are spent, not when tokens or seconds will be. With `near` every document has so many neighbours
    that nobody else has.
    """
    strategy, prompt = strategy_of(row)
    _takes_neighbours(row.strategy, strategy, near)
    prompt = prompt if worded else None
    plain = json.dumps(row.options, sort_keys=True)
    played = {
        q: _played(row, d, memo, budget.calls)
        if row.parts
        else _rehearsed(row.strategy, plain, len(d), memo, budget.calls, near)
        for q, d in candidates.items()
    }
    jobs = [job for job, _ in played.values()]
    shown = max((width for _, width in played.values()), default=0)
    if prompt and shown:
        prompt.labels(shown)
    some = dict(list(candidates.items())[:: max(1, len(candidates) // REHEARSED)][:REHEARSED])
    every = max(1, sum(played[query][0].calls for query in some) // WORDED)
    spoken = _Rehearsal(_worth(some), prompt, every)
    askings = ((query, asking(row, docs)) for query, docs in some.items())
    for _ in drive(askings, spoken, budget=Budget(budget.calls)):
        pass
    share = sum(job.calls for job in jobs) / max(1, spoken.worded)
    return Cost(
        queries=len(jobs),
        calls=sum(job.calls for job in jobs),
        slots=sum(job.slots for job in jobs),
        rounds=sum(job.rounds for job in jobs) / max(1, len(jobs)),
        prompt_tokens=round(spoken.characters * share / CHARACTERS_A_TOKEN),
        completion_tokens=round(spoken.completion_tokens * share),
        widest=shown,
    )


def widest(row: Method, counts: Iterable[int]) -> int:
    """How many documents the widest question shows over lists of these lengths."""
    plain = json.dumps(row.options, sort_keys=True)
    return max((_rehearsed(row.strategy, plain, n, True, None)[1] for n in set(counts)), default=0)


@functools.lru_cache(maxsize=4096)
def _rehearsed(
    strategy: str, options: str, count: int, memo: bool, calls: int | None, near: int = 0
) -> tuple[Job[Query, list[Doc]], int]:
    """One query with `count` nameless documents, played to the end; and its widest question."""
    docs = [Doc(str(place), "") for place in range(count)]
    known = {"neighbours": partial(_strangers, near)} if near else {}
    row = Method(strategy, "", "", "", "", {**json.loads(options), **known})
    return _played(row, docs, memo, calls)


def _played(
    row: Method, docs: Sequence[Doc], memo: bool, calls: int | None
) -> tuple[Job[Query, list[Doc]], int]:
    """A row played over these documents, and its widest question; nobody answers but chance."""
    query = Query("q", "")
    judge = _Rehearsal(_worth({query: docs}), None)
    try:
        if not isinstance(find_strategy(row.strategy)(docs, **row.options), Generator):
            raise UsageError(f"strategy {row.strategy} is not a generator of questions")
        [job] = drive([(query, asking(row, docs))], judge, memo=memo, budget=Budget(calls))
    except (ValueError, TypeError) as wrong:
        raise UsageError(f"strategy {row.strategy}: {wrong}") from None
    return job, judge.widest


def _strangers(count: int, doc: Doc) -> list[Doc]:
    """So many neighbours of a document that nobody else has."""
    return [Doc(f"{doc.id} {number}", "") for number in range(count)]


def _worth(candidates: Mapping[Query, Sequence[Doc]]) -> dict[str, dict[str, float]]:
    """A truth for each document that correlates 0.5 with its place."""
    chance = random.Random(0)
    truth: dict[str, dict[str, float]] = {}
    for query, docs in candidates.items():
        places = sorted((chance.gauss(0, 1) for _ in docs), reverse=True)
        worth = [0.5 * place + math.sqrt(0.75) * chance.gauss(0, 1) for place in places]
        truth[query.id] = {doc.id: value for doc, value in zip(docs, worth, strict=True)}
    return truth


class _Rehearsal:
    """An oracle over a made-up truth that words every so many questions and weighs the words."""

    def __init__(
        self, truth: Mapping[str, Mapping[str, float]], prompt: Prompt | None, every: int = 1
    ) -> None:
        self.oracle, self.prompt, self.every = Oracle(truth), prompt, every
        self.calls = self.worded = self.characters = self.completion_tokens = self.widest = 0

    def submit(self, ticket: Hashable, query: Query, question: Question[Any]) -> None:
        self.widest = max(self.widest, len(question.documents))
        if self.prompt:
            if not isinstance(question, self.prompt.asks):
                asked, asks = type(question).__name__, self.prompt.asks.__name__
                raise UsageError(f"the strategy asks {asked}, prompt {self.prompt.name} {asks}")
            if self.calls % self.every == 0:
                self._weigh(self.prompt.wording(query, question).request)
        self.calls += 1
        self.oracle.submit(ticket, query, question)

    def poll(self) -> Iterable[tuple[Hashable, Answer]]:
        return self.oracle.poll()

    def _weigh(self, request: Request) -> None:
        self.worded += 1
        if isinstance(request.want, Pair):
            self.characters += len(request.want.query) + len(request.want.doc)
        self.characters += sum(len(m.content) for m in request.messages) + len(request.prefill)
        if isinstance(request.want, Text):
            self.completion_tokens += request.want.max_tokens
        elif isinstance(request.want, Labels):
            self.completion_tokens += 1


def _takes_neighbours(name: str, strategy: Strategy, near: int) -> None:
    if near and "neighbours" not in options_of(strategy):
        adaptive = [name for name, one in STRATEGIES.items() if "neighbours" in options_of(one)]
        raise UsageError(f"strategy {name} takes no neighbours; {', '.join(adaptive)} do")


def _strategy(name: str) -> Strategy:
    try:
        strategy = find_strategy(name)
    except KeyError:
        raise UsageError(f"no strategy {name!r}; there are: {', '.join(STRATEGIES)}") from None
    except (ImportError, AttributeError, ValueError, TypeError) as wrong:
        raise UsageError(f"no strategy {name!r}: {wrong}") from None
    if not callable(strategy):
        raise UsageError(f"strategy {name!r} is not a function")
    return strategy


def _mistake(strategy: Strategy, name: str, value: Any) -> str:
    """What is wrong with the value of an option of ours; all our numbers are counts, from 1 on."""
    kind = inspect.signature(strategy).parameters[name].annotation
    try:
        pydantic.TypeAdapter(kind, config=FINITE).validate_python(value, strict=True)
    except pydantic.ValidationError as wrong:
        return said(wrong.errors())
    return "it should be 1 or more" if isinstance(value, int) and value < 1 else ""
