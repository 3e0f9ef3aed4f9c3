"""The command line: verbs and options, each verb one call. Results on stdout, the rest on stderr.

Exit codes: 0 done, 2 usage, 3 an extra is missing, 4 input, 5 engine, 7 done, but with answers
that failed or could not be read.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.exceptions import TyperException

from rerank import printing
from rerank.commands import suites
from rerank.commands.bench import bench
from rerank.commands.bias import bias
from rerank.commands.calibrate import calibrate
from rerank.commands.compare import compare
from rerank.commands.leaderboard import leaderboard
from rerank.commands.pseudo import pseudo
from rerank.commands.run import run
from rerank.commands.serve import serve
from rerank.commands.train import train
from rerank.commands.verify import verify
from rerank.commands.wire import wire
from rerank.errors import DONE_WITH_FAILURES, STOPPED, InputError, RerankError, UsageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
prompts_app = typer.Typer(help="The wordings that ship, and yours.", no_args_is_help=True)
app.add_typer(prompts_app, name="prompts")
app.add_typer(suites.app, name="suites")

Ties = Literal["auto", "file", "ids"]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def main() -> None:
    """Run the command line; a mistake that can be explained is one line and an exit code."""
    printing.say_what_is_logged()
    try:
        try:
            left = app(prog_name="rerank", standalone_mode=False)
        finally:
            sys.stdout.flush()
    except TyperException as wrong:
        _say_usage(wrong)
        sys.exit(UsageError.exit_code)
    except typer.Abort:
        printing.say("stopped")
        sys.exit(STOPPED)
    except RerankError as error:
        printing.say(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stdout = None  # the reader of our output has gone; say nothing more
        sys.exit(0)
    except OSError as error:  # a folder that cannot be written, a file that is one, a full disk
        if not error.filename:
            sys.stdout = None  # it would be written to again
        printing.say(f"{error.filename or 'the output'}: {error.strerror}")
        sys.exit(InputError.exit_code)
    sys.exit(left or 0)


def _say_usage(wrong: Any) -> None:
    """A command line that cannot be read is one line; without a verb the help has been shown."""
    from pydantic import ValidationError

    from rerank.checking import said

    if isinstance(wrong.__cause__, ValidationError):
        wrong.message = said(wrong.__cause__.errors())
    context = getattr(wrong, "ctx", None)
    if what := wrong.format_message().rstrip("."):
        printing.say(f"{what}; see `{context.command_path if context else 'rerank'} --help`")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        printing.show(version("rerank-pipeline"))
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Rerank search results with language models, and measure what it gained."""


@app.command("eval")
def evaluate(
    run_files: Annotated[list[Path], typer.Argument(help="TREC runs, .gz too.", metavar="RUN")],
    qrels: Annotated[Path, typer.Option(help="Judgments: BEIR tsv or TREC qrels.")],
    measures: Annotated[
        list[str] | None, typer.Option("-m", "--measure", help="Such as ndcg@10, map or judged@5.")
    ] = None,
    ties: Annotated[
        Ties, typer.Option(help="Equal scores: as the file has them, or by id as trec_eval.")
    ] = "auto",
    per_query: Annotated[bool, typer.Option("--per-query", help="A row for each query.")] = False,
    as_json: Json = False,
) -> None:
    """Score TREC runs; every query of the judgments counts."""
    from rerank.scoring import score_files

    wanted = measures or ["ndcg@10", "map", "mrr@10", "recall@100"]
    scores = {}
    for path, found, notes in score_files(run_files, qrels, wanted, ties):
        scores[str(path)] = found
        for note in notes:
            printing.say(f"{path}: {note}")
    printing.scores(scores, per_query, as_json)


app.command()(run)
app.command()(compare)
app.command()(verify)
app.command()(bias)
app.command()(calibrate)
app.command()(bench)
app.command()(train)
app.command()(pseudo)
app.command()(wire)
app.command()(serve)


@app.command()
def rank(
    query: Annotated[str, typer.Argument(help="What is looked for.")],
    file: Annotated[str, typer.Argument(help="One text or JSON object a line; - for stdin.")],
    model: Annotated[
        str, typer.Option(help="A model folder, a hub id or boxed, which comes along.")
    ] = "boxed",
    method: Annotated[str, typer.Option(help="A row of `rerank methods`, or auto.")] = "auto",
    top_n: Annotated[int | None, typer.Option(min=1, help="Only the best N.")] = None,
    engine: Annotated[str, typer.Option(help="auto, vllm, http, transformers or scorer.")] = "auto",
    base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible server.")] = None,
    as_json: Json = False,
) -> None:
    """Rank the lines of a file for a query, best first."""
    from rerank.library.reranker import Reranker

    if base_url and engine not in ("auto", "http"):
        raise UsageError(f"--base-url is for engine http, not {engine}")
    if not query.strip():
        raise InputError("the query is empty")
    documents = _documents(file)
    key = os.environ.get("OPENAI_API_KEY")
    with Reranker(model, method=method, engine=engine, base_url=base_url, api_key=key) as reranker:
        ranking = reranker.rerank(query, documents, top_n)
    printing.ranking(ranking, as_json)
    if printing.failures(file, ranking.answers):
        raise typer.Exit(DONE_WITH_FAILURES)


@app.command()
def methods(as_json: Json = False) -> None:
    """List the methods: strategy, prompt, calls, rounds and paper."""
    from rerank.methods import METHODS

    printing.methods(METHODS, as_json)


@prompts_app.command("list")
def list_prompts(as_json: Json = False) -> None:
    """List the prompts that ship: name, question, reader, source."""
    from rerank import files
    from rerank.prompts import read_prompt

    printing.prompts({name: read_prompt(name) for name in files.names("prompts")}, as_json)


@prompts_app.command("show")
def show_prompt(name: str) -> None:
    """Print a prompt's file."""
    from rerank import files

    print(files.read_text(files.find("prompts", name)), end="")


@prompts_app.command("render")
def render_prompt(
    name: str,
    query: Annotated[str, typer.Option(help="What is looked for.")] = "what is a query",
    docs: Annotated[list[str] | None, typer.Option("--doc", help="A document's text.")] = None,
    as_json: Json = False,
) -> None:
    """Print the messages that a model would get."""
    from rerank.prompts import question_over, read_prompt
    from rerank.records import Doc, Query

    prompt = read_prompt(name)
    texts = [*(docs or ()), "a passage", "another passage"][: max(2, len(docs or ()))]
    question = question_over(prompt.asks, [Doc(str(i), text) for i, text in enumerate(texts)])
    printing.request(prompt.wording(Query("q", query), question).request, as_json)


app.command()(leaderboard)


@app.command()
def doctor(
    model: Annotated[str | None, typer.Option(help="Check the labels of this model, too.")] = None,
    as_json: Json = False,
) -> None:
    """Say what is installed, which engines work, and which prompts fit a model."""
    from rerank.doctor import examine, labels, report, verdicts

    found = examine()
    if not as_json:
        printing.show(report(found))
    if model:
        found |= {"model": model, "labels": labels(model)}
    if as_json:
        printing.show(found)
    elif model:
        printing.show(verdicts(model, found["labels"]))


def _documents(file: str) -> list[Any]:
    """The lines of a file or of stdin: JSON objects where a line starts with one, else text."""
    from rerank.datasets.lines import Place, decoded, lines, parse

    given: Iterator[tuple[int, str]]
    if file == "-":
        given = ((n, decoded(raw, "-", n)) for n, raw in enumerate(sys.stdin.buffer, 1))
    else:
        given = lines(Path(file))
    documents: list[Any] = []
    for number, line in given:
        document = parse(Path(file), number, line) if line.startswith("{") else line.rstrip("\r")
        if isinstance(document, dict) and not isinstance(document.get("text"), str):
            raise Place(file, number).error("a JSON object needs a 'text'")
        if document.strip() if isinstance(document, str) else document:
            documents.append(document)
    if not documents:
        what = "nothing to rank in it; it should hold a text or a JSON object a line"
        raise InputError.at("stdin" if file == "-" else file, None, what)
    return documents


if __name__ == "__main__":
    main()
