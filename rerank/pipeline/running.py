"""From a recipe to a run folder: load, retrieve, rerank, write, score.

The journal in the folder remembers every reply, and strategies are pure: the same command
after a crash asks nothing twice and writes the same run, byte for byte.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

from rerank import garbage, runs
from rerank.cost import Cost, asking, expect, strategy_of
from rerank.engines import Engine
from rerank.engines.journal import Journal, remembering
from rerank.engines.opening import choose, key_of, open_engine, refuse_unserved
from rerank.errors import InputError, installing
from rerank.judges import LLMJudge, Oracle
from rerank.pipeline import evidence
from rerank.pipeline.account import TIMES, Account
from rerank.prompts import Prompt
from rerank.questions import Asking
from rerank.recipes import Recipe
from rerank.recipes.suites import Suite
from rerank.records import Doc, Query, Run
from rerank.scheduler import Budget, Job, Judge, drive
from rerank.stopwatch import spent
from rerank.tasks import Task, load_tasks, measures_of, method_of, row_of, suite_of

Progress = Callable[[str, int, int], None]
"""Called with a dataset's name, its queries finished so far, and its queries in all."""
LOG = logging.getLogger(__name__)


class Reranked(NamedTuple):
    """A dataset's run and what it cost."""

    run: Run
    account: Account


def check(recipe: Recipe) -> Suite:
    """The recipe's suite, once its strategy, options, prompt and measures are known to work."""
    two = [Doc("1", "a document"), Doc("2", "another")]
    row, query = method_of(recipe), Query("1", "a query")
    expect(row, {query: two}, worded=recipe.needs_model, near=recipe.near)
    suite = suite_of(recipe)
    for entry in suite.datasets:
        measures_of(suite, entry)
    return suite


def plan(recipe: Recipe) -> dict[str, Cost]:
    """What each dataset of a recipe will cost; loads the data and no model.

    Where a model takes part in the first stage, BM25's candidates stand in for those it would find.
    """
    suite, plain = check(recipe), recipe
    if recipe.expansion or {"dense", "feedback", "cur"} & {*recipe.retrieved}:
        LOG.info("BM25 stands in for first = %r, which asks a model", recipe.first)
        plain = recipe.model_copy(update={"first": "bm25", "expansion": None})
    return {task.name: expected(recipe, task) for task in load_tasks(plain, suite)}


def run(
    recipe: Recipe,
    folder: Path,
    api_key: str | None = None,
    progress: Progress = lambda name, done, all: None,
) -> dict[str, Any]:
    """Rerank what a recipe names, write the run folder, and return what result.json says.

    Everything that can be wrong with data and options is found before a model loads.
    """
    suite = check(recipe)
    tasks = list(load_tasks(recipe, suite))
    files = _run_files(tasks)
    widest = _ready(recipe, tasks)
    _warn_of_fewer(folder, sum(len(task.candidates) for task in tasks))
    folder.mkdir(parents=True, exist_ok=True)
    datasets: dict[str, Any] = {}
    scores: dict[str, dict[str, dict[str, float]]] = {}
    accounts: list[Account] = []
    engine = ""
    with judging(recipe, folder, api_key, widest) as judge_of:
        for task in tasks:
            reranked = rerank_task(recipe, task, judge := judge_of(task), progress)
            part, per_query = _written(task, reranked, folder / files[task.name])
            datasets[task.name] = part
            scores |= {task.name: per_query} if per_query else {}
            accounts.append(reranked.account)
            engine = _engine(judge)
    scored = runs.SCORES if runs.write_scores(folder, scores) else None
    if scores and not scored:
        LOG.warning("%s: no %s; %s", folder, runs.SCORES, installing("eval"))
    cost = reduce(add, accounts).summary()
    name = folder.resolve().name
    result = evidence.of_run(name, recipe, suite, datasets, cost, engine) | {"scores": scored}
    runs.write_result(folder, result := runs.kept(folder, result, TIMES))
    LOG.info("wrote %s: %s and %s", folder, ", ".join(files.values()), runs.RESULT)
    return result


def _ready(recipe: Recipe, tasks: Sequence[Task]) -> int:
    """How many documents the widest question shows; what is wrong or missing is named now."""
    costs = [expected(recipe, task) for task in tasks]
    for task in tasks:
        _oracle(recipe, task)
        evidence.measured(task, {}, task.measures)  # a missing extra, not hours later
    return max(cost.widest for cost in costs)


def _warn_of_fewer(folder: Path, queries: int) -> None:
    """Say that a result over more queries is about to be replaced, as by a trial with a limit."""
    try:
        known = runs.read_result(folder)["cost"]["queries"] if folder.is_dir() else 0
    except (InputError, KeyError, TypeError):  # no result, or a damaged one: nothing is lost
        return
    if isinstance(known, int) and known > queries:
        what = "%s: this run of %d queries replaces a result over %d; --out keeps both"
        LOG.warning(what, folder, queries, known)


def _written(
    task: Task, reranked: Reranked, file: Path
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """Write one dataset's run; its part of result.json, and the scores of each query."""
    tag = _safe(file.parent.resolve().name) or "rerank"
    written = {"file": file.name, "run_sha256": runs.write_run(file, reranked.run, tag)}
    part, per_query = evidence.of_dataset(task, reranked.run, task.measures)
    cost = {"cost": reranked.account.summary()}
    return {**part, **written, **evidence.of_source(task), **cost}, per_query


def _run_files(tasks: Sequence[Task]) -> dict[str, str]:
    """The run file of each dataset by its name; no two may have the same."""
    several = len(tasks) > 1
    files = {t.name: f"run.{_safe(t.name)}.trec.gz" if several else runs.RUN for t in tasks}
    if len(set(files.values())) < len(tasks):
        names = ", ".join(task.name for task in tasks)
        raise InputError(f"the datasets need names that tell them apart: {names}")
    return files


def expected(recipe: Recipe, task: Task) -> Cost:
    return expect(
        method_of(recipe),
        task.candidates,
        memo=recipe.memo,
        budget=Budget(**dict(recipe.budget)),
        worded=recipe.needs_model,
        near=recipe.near,
    )


def rerank_task(
    recipe: Recipe, task: Task, judge: Judge[Query], progress: Progress = lambda *_: None
) -> Reranked:
    """Rerank the queries of one dataset; a query that failed keeps its first-stage order."""
    account, rankings, begun, before = Account(), {}, time.perf_counter(), spent()
    replayed = _replayed(judge)
    with garbage.left_alone():
        for job in _driven(recipe, task, judge):
            kept = task.candidates[job.query]
            rankings[job.query.id] = kept if job.ranking is None else job.ranking
            account.count(job)
            account.neighbours += len(rankings[job.query.id]) - len(kept)
            progress(task.name, len(rankings), len(task.candidates))
    account.seconds = time.perf_counter() - begun
    account.stages = {name: now - before[name] for name, now in spent().items()}
    account.replayed = _replayed(judge) - replayed
    return Reranked(runs.ranked_run(rankings), account)


def _driven(recipe: Recipe, task: Task, judge: Judge[Query]) -> Iterator[Job[Query, list[Doc]]]:
    """The jobs of a dataset's queries as they finish."""
    return drive(
        _begun(recipe, task, judge),
        judge,
        at_once=recipe.at_once,
        memo=recipe.memo,
        budget=Budget(**dict(recipe.budget)),
        on_error=recipe.on_error,
    )


def _begun(
    recipe: Recipe, task: Task, judge: Judge[Query]
) -> Iterator[tuple[Query, Asking[list[Doc]]]]:
    """Each query with what it will ask; a model is told what it will be shown."""
    for query, docs in task.candidates.items():
        if isinstance(judge, LLMJudge):
            judge.expect(query, docs)
        yield query, asking(row_of(recipe, task, query), docs)


def _replayed(judge: Judge[Query]) -> int:
    """How many calls a journal has answered so far."""
    engine = judge.engine if isinstance(judge, LLMJudge) else None
    return engine.replayed if isinstance(engine, Journal) else 0


def _engine(judge: Judge[Query]) -> str:
    """The name of the engine that answered; empty where none did."""
    return judge.engine.name if isinstance(judge, LLMJudge) else ""


@contextmanager
def judging(
    recipe: Recipe, folder: Path, api_key: str | None, widest: int
) -> Iterator[Callable[[Task], Judge[Query]]]:
    """Who judges each task: its own oracle, or one model behind the folder's journal."""
    _, prompt = strategy_of(recipe.row)
    if not recipe.needs_model or prompt is None:
        yield partial(_oracle, recipe)
        return
    name, options = _engine_of(recipe, prompt, api_key)
    assert recipe.model
    engine = remembering(
        folder / "journal.sqlite",
        key_of(name, recipe.model, options),
        partial(_opened, name, recipe.model, options),
    )
    try:
        judge = LLMJudge(prompt.with_sampling(**dict(recipe.sampling)), engine)
        judge.check(widest)
        yield lambda task: judge
    finally:
        engine.close()


def _oracle(recipe: Recipe, task: Task) -> Oracle:
    if recipe.judge == "oracle" and not task.qrels:
        raise InputError(f"{task.name} has no judgments, and the oracle answers from them")
    return Oracle(task.qrels, **dict(recipe.oracle))


def _engine_of(recipe: Recipe, prompt: Prompt, api_key: str | None) -> tuple[str, dict[str, Any]]:
    """The engine's name and all of its options."""
    automatic = choose(prompt.reader.wants, recipe.base_url)
    name = automatic if recipe.engine == "auto" else recipe.engine
    server = {"base_url": recipe.base_url, "api_key": api_key} if name == "http" else {}
    refuse_unserved(name, prompt.reader.wants, prompt.name)
    return name, {**server, **recipe.engine_options}


def _opened(name: str, model: str, options: Mapping[str, Any]) -> Engine:
    if name != "http":
        LOG.info("loading %s on engine %s", model, name)
    return open_engine(name, model, options)


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
