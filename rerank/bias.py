"""How much a judge's answers depend on where it is shown what.

A prompt is asked about the same documents in other orders. What comes of that without any bias is
known, whatever the documents are worth; how good the answers are is not looked at.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import chain, combinations
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

from rerank.cost import strategy_of
from rerank.errors import InputError, UsageError
from rerank.pipeline import check, judging
from rerank.questions import Asking, Compare, Order, Pick, Question, Rate, ask_all
from rerank.recipes import Recipe
from rerank.records import Doc, Query, Status
from rerank.scheduler import Job, Judge, drive
from rerank.tasks import Task, load_tasks

Shown: TypeAlias = tuple[Question[Any], Any]
"""A question and its answer."""


def examine(
    recipe: Recipe, folder: Path, samples: int, window: int, api_key: str | None = None
) -> dict[str, dict[str, Any]]:
    """What the answers of a recipe's prompt show, for each dataset; the folder's journal helps.

    Of every query `samples` pairs of candidates are shown in both orders, or its best `window`
    candidates in that many orders, as the prompt asks for.
    """
    if samples < 2 or window < 2:
        raise UsageError("a bias needs 2 samples or more, and windows of 2 documents or more")
    suite = check(recipe)
    asks = _asks(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    with judging(recipe, folder, api_key, 2 if asks is Compare else window) as judge_of:
        return {
            task.name: examine_task(task, judge_of(task), asks, samples, window)
            for task in load_tasks(recipe, suite)
        }


def examine_task(
    task: Task, judge: Judge[Query], asks: type[Question[Any]], samples: int, window: int
) -> dict[str, Any]:
    """What the answers for one dataset show, how many they were and how they could be read."""
    askings = (
        (query, _probe(docs, asks, samples, window, random.Random(query.id)))
        for query, docs in task.candidates.items()
        if len(docs) > 1
    )
    jobs: list[Job[Query, list[Shown]]] = sorted(
        drive(askings, judge), key=lambda job: job.query.id
    )
    if not jobs:
        raise InputError(f"{task.name}: no query has two candidates")
    statuses = sum((job.statuses for job in jobs), Counter[Status]())
    return {
        "asks": asks.__name__,
        "queries": len(jobs),
        "calls": sum(job.calls for job in jobs),
        **SUMMARIES[asks]([job.ranking or [] for job in jobs]),
        "answers": {status.value: statuses[status] for status in Status},
    }


def _asks(recipe: Recipe) -> type[Question[Any]]:
    _, prompt = strategy_of(recipe.row)
    if prompt is None or prompt.asks is Rate:
        asking = f"prompt {prompt.name} shows one document" if prompt else "nothing is asked"
        raise UsageError(f"{asking}: there is no place to be biased to")
    return prompt.asks


def _probe(
    docs: Sequence[Doc],
    asks: type[Question[Any]],
    samples: int,
    window: int,
    chance: random.Random,
) -> Asking[list[Shown]]:
    """Ask about the same documents in other orders: both orders of each pair, one by one."""
    questions: list[Question[Any]] = []
    if asks is Compare:
        for a, b in (chance.sample(docs, 2) for _ in range(samples)):
            questions += [Compare(a, b), Compare(b, a)]
    else:
        best = docs[:window]
        ask = Order if asks is Order else Pick
        questions += [ask(tuple(chance.sample(best, len(best)))) for _ in range(samples)]
    answers = yield from ask_all(questions)
    return list(zip(questions, answers, strict=True))


def pair_bias(polls: Sequence[Sequence[Shown]]) -> dict[str, Any]:
    """Pairs in both orders: how often the same document wins, and how often the one shown first.

    Without bias: `agree` 1 but for draws, `first` 0.5.
    """
    strengths = [strength for poll in polls for _, strength in poll]
    both = list(zip(strengths[::2], strengths[1::2], strict=True))
    return {
        "pairs": len(both),
        "agree": fmean((one - 0.5) * (other - 0.5) < 0 for one, other in both),
        "draws": fmean(0.5 in pair for pair in both),
        "first": fmean(0.5 + ((s > 0.5) - (s < 0.5)) / 2 for s in strengths),
    }


def order_bias(polls: Sequence[Sequence[Shown]]) -> dict[str, Any]:
    """Windows in several orders: Kendall's tau between answers, and what each slot gains.

    Without bias: `tau` 1, and every `gain_by_slot`, the places that a document stands above the
    middle for having been shown there, about 0. A judge that leaves equals as they are shown has
    that, too. `as_shown` are answers that changed nothing.
    """
    gains: defaultdict[int, list[float]] = defaultdict(list)
    for question, order in chain.from_iterable(polls):
        place = {doc: place for place, doc in enumerate(order)}
        for slot, doc in enumerate(question.documents):
            gains[slot].append((len(order) - 1) / 2 - place[doc])
    answers = [(list(q.documents), list(order)) for q, order in chain.from_iterable(polls)]
    return {
        "windows": len(answers),
        "tau": fmean(tau(a, b) for poll in polls for (_, a), (_, b) in combinations(poll, 2)),
        "as_shown": fmean(shown == order for shown, order in answers),
        "gain_by_slot": [round(fmean(gains[slot]), 4) for slot in sorted(gains)],
    }


def pick_bias(polls: Sequence[Sequence[Shown]]) -> dict[str, Any]:
    """Sets in several orders: how often two answers pick the same document, and from which slot.

    Without bias: `agree` 1, and as much in `picked_by_slot` for each. A draw picks nothing.
    """
    picks = [[_picked(question, weights) for question, weights in poll] for poll in polls]
    slots = Counter(pick[0] for pick in chain.from_iterable(picks) if pick)
    widest = max(len(question.documents) for question, _ in chain.from_iterable(polls))
    agreed = [bool(a and b and a[1] == b[1]) for poll in picks for a, b in combinations(poll, 2)]
    return {
        "windows": sum(map(len, picks)),
        "agree": fmean(agreed),
        "draws": fmean(pick is None for pick in chain.from_iterable(picks)),
        "picked_by_slot": [round(slots[s] / max(1, slots.total()), 4) for s in range(widest)],
    }


def _picked(question: Question[Any], weights: Sequence[float]) -> tuple[int, Doc] | None:
    """The slot and the document with the most weight; None if several have it."""
    best = max(weights)
    if weights.count(best) > 1:
        return None
    return weights.index(best), question.documents[weights.index(best)]


def tau(one: Sequence[Any], other: Sequence[Any]) -> float:
    """Kendall's rank correlation of two orders of the same things, at least two."""
    place = {thing: place for place, thing in enumerate(other)}
    pairs = list(combinations([place[thing] for thing in one], 2))
    return fmean((a < b) - (a > b) for a, b in pairs)


SUMMARIES: dict[type[Question[Any]], Callable[[Sequence[Sequence[Shown]]], dict[str, Any]]] = {
    Compare: pair_bias,
    Order: order_bias,
    Pick: pick_bias,
}
