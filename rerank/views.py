"""Gathers what a leaderboard's page shows of queries: texts, rankings, judgments, replies.

Data that are gone make a view poorer and say so; they are no reason to have no leaderboard.
Replies are read from a run's journal by playing its strategy again, which asks nobody.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rerank import files, runs
from rerank.cost import asking, strategy_of
from rerank.datasets import Dataset, read_run
from rerank.engines.journal import Recall
from rerank.errors import RerankError
from rerank.judges import LLMJudge
from rerank.leaderboard.board import Board
from rerank.leaderboard.folders import Row
from rerank.leaderboard.view import Exchange, Listed, View
from rerank.questions import Question
from rerank.recipes import Recipe
from rerank.records import Answer, Doc, Qrels, Query, Run
from rerank.scheduler import Budget, Judge, drive
from rerank.tasks import Task, load_tasks, row_of, suite_of

TOP = 20
EXCHANGES = 12  # of a query; more are counted in result.json
JOURNAL = "journal.sqlite"
ANSWERS = {
    *("method", "strategy", "prompt", "instruction", "options", "judge", "oracle", "model"),
    *("engine", "engine_options", "base_url", "sampling", "measures", "memo", "budget"),
    *("at_once", "on_error"),
}
"""The keys of a recipe that do not decide what there is to rank."""


def of_folders(root: Path, board: Board, rows: Mapping[str, Row], texts: bool = True) -> list[View]:
    """A view of each dataset of a board, from the run folders below `root` and their data.

    Without `texts` no data are loaded: there are rankings and values alone.
    """
    mine = {entry.key: rows[entry.key] for entry in board.entries}
    tasks, lacks = _tasks(root, mine) if texts else ({}, ["Texts were left out."])
    return [
        _view(root, name, set(board.telling[name]), mine, tasks.get(name, {}), lacks)
        for name in board.datasets
    ]


def of_files(name: str, paths: Mapping[str, Path], qrels: Qrels, data: Dataset | None) -> View:
    """A view of run files by their keys; without their data it has no texts."""
    lists = {key: _top(read_run(path), qrels) for key, path in paths.items()}
    shown = {doc for listed in lists.values() for docs in listed.values() for doc in docs}
    corpus = data.corpus if data else {}
    return View(
        name,
        {query.id: query.text for query in data.queries.values()} if data else {},
        {doc: _words(corpus[doc]) for doc in shown if doc in corpus},
        qrels,
        lists,
        lacks=() if data else ("Texts are not here: no --data was given.",),
    )


def _tasks(
    root: Path, rows: Mapping[str, Row]
) -> tuple[dict[str, dict[str, tuple[Recipe, Task]]], list[str]]:
    """What each run ranked, by dataset and run; what could not be loaded is said once."""
    found: dict[str, dict[str, tuple[Recipe, Task]]] = {}
    known: dict[str, list[Task]] = {}
    lacks: list[str] = []
    for key, row in rows.items():
        recipe = files.checked(Recipe, row.recipe, root / key / runs.RESULT)
        inputs = recipe.model_dump_json(exclude=ANSWERS)
        try:
            if inputs not in known:
                known[inputs] = list(load_tasks(recipe, suite_of(recipe)))
        except RerankError as missing:
            known[inputs] = []
            lacks.append(f"Texts and first stage are not here: {missing}.")
        for task in known[inputs]:
            found.setdefault(task.name, {})[key] = recipe, task
    return found, lacks


def _view(
    root: Path,
    dataset: str,
    wanted: set[str],
    rows: Mapping[str, Row],
    tasks: Mapping[str, tuple[Recipe, Task]],
    lacks: Sequence[str],
) -> View:
    lists = {
        key: _top(read_run(root / key / row.datasets[dataset].file), wanted)
        for key, row in rows.items()
        if dataset in row.datasets
    }
    first: dict[str, Listed] = {}
    docs: dict[str, str] = {}
    replies: dict[str, dict[str, list[Exchange]]] = {}
    tops = [top for listed in lists.values() for top in listed.values()]
    for key, (recipe, task) in tasks.items():
        candidates = {q: found for q, found in task.candidates.items() if q.id in wanted}
        listed = {query.id: [doc.id for doc in found[:TOP]] for query, found in candidates.items()}
        if listed not in first.values():
            first[f"{recipe.first} (first stage)" if recipe.first not in first else key] = listed
        shown = {doc for top in (*tops, *listed.values()) for doc in top}
        docs |= {
            doc.id: _words(doc) for found in candidates.values() for doc in found if doc.id in shown
        }
        if (journal := root / key / JOURNAL).is_file() and (engine := rows[key].engine):
            few = replace(task, candidates=candidates)
            replies[key] = dict(_replies(journal, engine, recipe, few))
    lost = [
        f"The journal of {rows[key].name} has no reply that could be found again."
        for key, heard in replies.items()
        if not heard
    ]
    queries = {q.id: q.text for _, task in tasks.values() for q in task.candidates}
    qrels = max((task.qrels for _, task in tasks.values()), key=len, default={})
    return View(dataset, queries, docs, qrels, lists, first, replies, (*lacks, *lost))


def _replies(
    journal: Path, engine: str, recipe: Recipe, task: Task
) -> Iterator[tuple[str, list[Exchange]]]:
    """The first exchanges of each query, as far as the journal has them."""
    _, prompt = strategy_of(recipe.row)
    assert prompt
    recall = Recall(engine, journal)
    try:
        judge = LLMJudge(prompt.with_sampling(**dict(recipe.sampling)), recall)
        budget = recipe.budget.model_copy(update={"seconds": None})
        for query, docs in task.candidates.items():
            witness = _Witness(judge, recall)
            job = query, asking(row_of(recipe, task, query), docs)
            for _ in drive(
                [job], witness, memo=recipe.memo, budget=Budget(**dict(budget)), on_error="keep"
            ):
                pass
            if witness.heard:
                yield query.id, witness.heard
    finally:
        recall.close()


class _Witness:
    """A judge that keeps what was asked and replied."""

    def __init__(self, judge: Judge[Query], recall: Recall) -> None:
        self.judge, self.recall = judge, recall
        self.asked: dict[Hashable, Question[Any]] = {}
        self.heard: list[Exchange] = []

    def submit(self, ticket: Hashable, query: Query, question: Question[Any]) -> None:
        self.asked[ticket] = question
        self.judge.submit(ticket, query, question)

    def poll(self) -> Iterable[tuple[Hashable, Answer]]:
        answered = list(self.judge.poll())
        for ticket, answer in answered:
            replies, question = self.recall.replies.pop(ticket), self.asked.pop(ticket)
            if len(self.heard) < EXCHANGES and not replies[-1].error:
                docs = tuple(doc.id for doc in question.documents)
                text = "".join(reply.text for reply in replies)
                self.heard.append(Exchange(docs, text, replies[-1].scores, answer.status.value))
        return answered


def _top(run: Run, wanted: Collection[str]) -> Listed:
    return {
        query: sorted(scores, key=scores.__getitem__, reverse=True)[:TOP]
        for query, scores in run.items()
        if query in wanted
    }


def _words(doc: Doc) -> str:
    """Title and text in one line."""
    return " ".join((f"{doc.title} — {doc.text}" if doc.title else doc.text).split())
