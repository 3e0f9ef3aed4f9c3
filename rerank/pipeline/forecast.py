"""What a recipe will take on this machine: some of its queries are timed, the rest is reckoned.

Seconds are taken to grow as the tokens that are expected, or as the calls where a judge reads none.
That holds where the sample keeps the engine as busy as the whole does; a smaller one says too much,
never too little.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rerank.cost import Cost
from rerank.errors import InputError
from rerank.pipeline.running import Progress, check, expected, judging, rerank_task
from rerank.recipes import Recipe
from rerank.records import Qrels
from rerank.tasks import Task, load_tasks


def forecast(
    recipe: Recipe,
    queries: int,
    api_key: str | None = None,
    progress: Progress = lambda name, done, all: None,
) -> dict[str, Any]:
    """Time `queries` of a recipe's queries, all at once, and reckon what each dataset will take.

    One more query comes before them, and its time counts as loading: it meets a cold engine.
    Nothing is written and no journal is read.
    """
    suite = check(recipe)
    tasks = list(load_tasks(recipe, suite))
    costs = {task.name: expected(recipe, task) for task in tasks}
    first, sample = _sampled(tasks, queries)
    widest, begun = max(cost.widest for cost in costs.values()), time.perf_counter()
    with (
        TemporaryDirectory() as folder,
        judging(recipe, Path(folder), api_key, widest) as judge_of,
    ):
        rerank_task(recipe, first, judge_of(first))
        loading = time.perf_counter() - begun
        account = rerank_task(recipe, sample, judge_of(sample), progress).account
    pace = account.seconds / _weight(expected(recipe, sample))
    seconds = {name: round(pace * _weight(cost), 1) for name, cost in costs.items()}
    return {
        "loading_seconds": round(loading, 1),
        "sample": account.summary(),
        "datasets": {
            name: {"queries": cost.queries, "calls": cost.calls, "seconds": seconds[name]}
            for name, cost in costs.items()
        },
        "seconds": round(loading + sum(seconds.values()), 1),
    }


def _sampled(tasks: Sequence[Task], queries: int) -> tuple[Task, Task]:
    """A query to begin with, and others spread over all datasets; the same if there is one only."""
    every = [(query, docs) for task in tasks for query, docs in task.candidates.items()]
    if not every:
        raise InputError("there is no query to time")
    qrels: Qrels = {query: grades for task in tasks for query, grades in task.qrels.items()}
    rest = every[1:] or every
    count = min(queries, len(rest))
    spread = [rest[place * len(rest) // count] for place in range(count)]
    return Task("first", dict(every[:1]), qrels), Task("sample", dict(spread), qrels)


def _weight(cost: Cost) -> float:
    return float(cost.prompt_tokens + cost.completion_tokens or cost.calls or cost.queries)
