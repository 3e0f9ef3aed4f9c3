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
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rerank.errors import UsageError
from rerank.judges import Oracle
from rerank.methods import Method
from rerank.prompts import Prompt, read_prompt
from rerank.questions import Question
from rerank.records import Answer, Doc, Query
from rerank.scheduler import Job, drive
from rerank.strategies import STRATEGIES, Strategy, find_strategy, options_of
from rerank.strategies.listwise import carried
from rerank.wants import Labels, Pair, Request, Text

CHARACTERS_A_TOKEN = 4
REHEARSED = 5  # queries whose prompts are really worded


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
    try:
        strategy = find_strategy(row.strategy)
    except (KeyError, ImportError, AttributeError):
        known = ", ".join(STRATEGIES)
        raise UsageError(f"no strategy {row.strategy!r}; there are: {known}") from None
    known_options = options_of(strategy)
    for name in row.options:
        if name not in known_options:
            takes = ", ".join(known_options) or "none"
            raise UsageError(f"strategy {row.strategy} has no option {name!r}; it takes: {takes}")
    _check_types(row, strategy)
    return strategy, read_prompt(row.prompt) if row.prompt else None


def warnings(row: Method, k: int = 10) -> list[str]:
    """What a row can do but should not be trusted with."""
    options = {**options_of(find_strategy(row.strategy)), **row.options}
    if row.strategy != "sliding-window":
        return []
    places = carried(options["window"], options["stride"], options["passes"])
    if places >= k:
        return []
    return [
        f"windows of {options['window']} with stride {options['stride']} and"
        f" {options['passes']} pass(es) carry only the best {places} documents to the top, not {k}"
    ]


def expect(
    row: Method,
    candidates: Mapping[Query, Sequence[Doc]],
    *,
    memo: bool = True,
    worded: bool = True,
) -> Cost:
    """What ranking these candidates will cost; refuses a strategy and a prompt that do not fit.

    Without words (an oracle needs none) there are no tokens to count.
    """
    strategy, prompt = strategy_of(row)
    prompt = prompt if worded else None
    plain = json.dumps(row.options, sort_keys=True)
    played = [_rehearsed(row.strategy, plain, len(docs), memo) for docs in candidates.values()]
    jobs, widest = [job for job, _ in played], max((width for _, width in played), default=0)
    if prompt and widest:
        prompt.labels(widest)
    some = dict(list(candidates.items())[:: max(1, len(candidates) // REHEARSED)][:REHEARSED])
    spoken = _Rehearsal(_worth(some), prompt)
    for _ in drive(((q, strategy(docs, **row.options)) for q, docs in some.items()), spoken):
        pass
    share = sum(job.calls for job in jobs) / max(1, spoken.calls)
    return Cost(
        queries=len(jobs),
        calls=sum(job.calls for job in jobs),
        slots=sum(job.slots for job in jobs),
        rounds=sum(job.rounds for job in jobs) / max(1, len(jobs)),
        prompt_tokens=round(spoken.characters * share / CHARACTERS_A_TOKEN),
        completion_tokens=round(spoken.completion_tokens * share),
        widest=widest,
    )


@functools.lru_cache(maxsize=4096)
def _rehearsed(
    strategy: str, options: str, count: int, memo: bool
) -> tuple[Job[Query, list[Doc]], int]:
    """One query with `count` nameless documents, played to the end; and its widest question."""
    query, docs = Query("q", ""), [Doc(str(place), "") for place in range(count)]
    asking = find_strategy(strategy)(docs, **json.loads(options))
    judge = _Rehearsal(_worth({query: docs}), None)
    try:
        [job] = drive([(query, asking)], judge, memo=memo)
    except (ValueError, TypeError) as wrong:
        raise UsageError(f"strategy {strategy}: {wrong}") from None
    return job, judge.widest


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
    """An oracle over a made-up truth that words what it is asked and weighs the words."""

    def __init__(self, truth: Mapping[str, Mapping[str, float]], prompt: Prompt | None) -> None:
        self.oracle, self.prompt = Oracle(truth), prompt
        self.calls = self.characters = self.completion_tokens = self.widest = 0

    def submit(self, ticket: Hashable, query: Query, question: Question[Any]) -> None:
        self.calls += 1
        self.widest = max(self.widest, len(question.documents))
        if self.prompt:
            if not isinstance(question, self.prompt.asks):
                asked, asks = type(question).__name__, self.prompt.asks.__name__
                raise UsageError(f"the strategy asks {asked}, prompt {self.prompt.name} {asks}")
            self._weigh(self.prompt.wording(query, question).request)
        self.oracle.submit(ticket, query, question)

    def poll(self) -> Iterable[tuple[Hashable, Answer]]:
        return self.oracle.poll()

    def _weigh(self, request: Request) -> None:
        if isinstance(request.want, Pair):
            self.characters += len(request.want.query) + len(request.want.doc)
        self.characters += sum(len(m.content) for m in request.messages) + len(request.prefill)
        if isinstance(request.want, Text):
            self.completion_tokens += request.want.max_tokens
        elif isinstance(request.want, Labels):
            self.completion_tokens += 1


def _check_types(row: Method, strategy: Strategy) -> None:
    """Refuse an option whose type is not its default's."""
    for name, value in row.options.items():
        default = inspect.signature(strategy).parameters[name].default
        if isinstance(default, int) and (not isinstance(value, int) or isinstance(value, bool)):
            raise UsageError(f"strategy {row.strategy}: option {name} is {value!r}, not a number")
