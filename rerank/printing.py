"""What the command line prints: results to stdout, everything else to stderr."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rerank.markdown import markdown

if TYPE_CHECKING:
    from rerank.cost import Cost
    from rerank.evaluate import Scores
    from rerank.library.reranker import Ranking
    from rerank.methods import Method
    from rerank.pipeline import Progress
    from rerank.prompts import Prompt
    from rerank.wants import Request


def say(text: str) -> None:
    """A line for the person, not for the pipe."""
    print(f"rerank: {text}", file=sys.stderr)


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def say_what_is_logged() -> None:
    """Say on stderr what the parts log from INFO on: a model that loads, a file that is written."""
    log = logging.getLogger("rerank")
    if not any(isinstance(handler, _Saying) for handler in log.handlers):
        log.addHandler(_Saying())
        log.setLevel(logging.INFO)


def show(what: Any) -> None:
    """JSON as JSON, lines as lines, text as it is."""
    if isinstance(what, str):
        print(what, end="" if not what or what.endswith("\n") else "\n")
    else:
        print(json.dumps(what, indent=2, ensure_ascii=False))


def columns(rows: Sequence[Sequence[str]]) -> None:
    """Rows of text in columns; the last column is as long as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *firsts, last in rows:
        print(
            *(cell.ljust(width) for cell, width in zip(firsts, widths, strict=False)),
            last,
            sep="  ",
        )


def scores(found: Mapping[str, "Scores"], per_query: bool, as_json: bool) -> None:
    """Scores by run: means, or a row for each query."""
    if as_json:
        show(
            {
                run: {**s.mean, **({"per_query": s.per_query} if per_query else {})}
                for run, s in found.items()
            }
        )
        return
    names = list(next(iter(found.values())).mean)
    rows = [["run", *(["query"] if per_query else []), *names]]
    for run, s in found.items():
        if per_query:
            for query in s.per_query[names[0]]:
                rows.append([run, query, *(f"{s.per_query[n][query]:.4f}" for n in names)])
        rows.append([run, *(["all"] if per_query else []), *(f"{s.mean[n]:.4f}" for n in names)])
    show(markdown(rows, texts=2 if per_query else 1))


def costs(found: Mapping[str, Mapping[str, "Cost"]], as_json: bool) -> None:
    """What runs would cost, dataset by dataset."""
    if as_json:
        show({run: {name: asdict(cost) for name, cost in by.items()} for run, by in found.items()})
        return
    head = [
        "run",
        "dataset",
        "queries",
        "calls",
        "slots",
        "rounds",
        "~prompt tokens",
        "<= new tokens",
    ]
    rows = [
        [
            run,
            name,
            *(f"{n:,}" for n in (c.queries, c.calls, c.slots)),
            f"{c.rounds:.1f}",
            *(f"{n:,}" for n in (c.prompt_tokens, c.completion_tokens)),
        ]
        for run, by in found.items()
        for name, c in by.items()
    ]
    show(markdown([head, *rows], texts=2))


def failures(where: str, answers: Mapping[str, int], kept: int = 0) -> bool:
    """Say how many answers were none and how many queries were left as they were; false if none."""
    failed, unreadable = answers["failed"], answers["unreadable"]
    said = [
        f"{failed} answers failed; the same command asks for them again" if failed else "",
        f"{unreadable} of {sum(answers.values())} answers could not be read" if unreadable else "",
        f"{kept} queries keep their first-stage order (result.json says why)" if kept else "",
    ]
    if any(said):
        say(f"{where}: {'; '.join(filter(None, said))}")
    return bool(failed or unreadable)


def profile(costs: Mapping[str, Mapping[str, Any]]) -> None:
    """Where the seconds of each run went; `rest` is the strategies' and the scheduler's."""
    stages = list(next(iter(costs.values()))["stages"])
    rows = [["run", "seconds", *stages, "rest", "queries/s", "tokens/s"]]
    for run, cost in costs.items():
        spent = [cost["stages"][name] for name in stages]
        rest = max(0.0, cost["seconds"] - sum(spent))
        rates = f"{cost['queries_per_second']:,.2f}", f"{cost['tokens_per_second']:,.0f}"
        rows.append([run, *(f"{s:,.2f}" for s in (cost["seconds"], *spent, rest)), *rates])
    show(markdown(rows))


def ranking(hits: "Ranking", as_json: bool) -> None:
    """A line for each document: rank, score, and the document as it was given."""
    if as_json:
        show([asdict(hit) for hit in hits])
        return
    for hit in hits:
        score = "-" if hit.score is None else f"{hit.score:.4f}"
        whole = isinstance(hit.document, str)
        text = hit.document if whole else json.dumps(hit.document, ensure_ascii=False)
        print(hit.rank, score, text, sep="\t")


def methods(rows: Mapping[str, "Method"], as_json: bool) -> None:
    """Methods, a paragraph for each; neighbours are no option but a key of a recipe."""
    from rerank.strategies import STRATEGIES, options_of

    options = {
        name: options_of(STRATEGIES[row.strategy]) | row.options for name, row in rows.items()
    }
    led = [name for name, taken in options.items() if taken.pop("neighbours", True) is None]
    if as_json:
        show({name: {**asdict(row), "options": options[name]} for name, row in rows.items()})
        return
    for name, row in rows.items():
        print(f"{name}\n  {row.paper}\n  strategy {row.strategy}, prompt {row.prompt or '-'}")
        if options[name]:
            print(
                "  options:", ", ".join(f"{key} = {value}" for key, value in options[name].items())
            )
        if name in led:
            print('  recipe: neighbours = { from = "bm25", k = 16 }')
        print(f"  calls: {row.calls}; rounds: {row.rounds}")


def prompts(found: Mapping[str, "Prompt"], as_json: bool) -> None:
    """Prompts: what each asks, how it is read, where it is from."""
    rows = [(name, p.file.asks, p.file.reads, p.file.source) for name, p in found.items()]
    if as_json:
        show({name: {"asks": a, "reads": r, "source": s} for name, a, r, s in rows})
    else:
        columns(rows)


def request(asked: "Request", as_json: bool) -> None:
    """A request as an engine gets it."""
    if as_json:
        messages = [message._asdict() for message in asked.messages]
        show({"messages": messages, "prefill": asked.prefill, "want": str(asked.want)})
        return
    for message in asked.messages:
        print(f"--- {message.role}\n{message.content}")
    print(f"--- assistant\n{asked.prefill}\n--- wanted\n{asked.want}")


@contextmanager
def progress() -> Iterator["Progress"]:
    """A bar for each dataset, on stderr, and only on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def advance(name: str, done: int, whole: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=whole)
            bars.update(tasks[name], completed=done)

        yield advance
