"""The command line: verbs and options, each verb one call. Results on stdout, the rest on stderr.

Exit codes: 0 done, 2 usage, 3 an extra is missing, 4 input, 5 engine, 7 done, but with answers
that failed or could not be read.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rerank import printing
from rerank.errors import InputError, RerankError

DONE_WITH_FAILURES = 7

app = typer.Typer(
    help="Rerank search results with language models, and measure what it gained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
prompts_app = typer.Typer(help="The wordings that ship, and yours.", no_args_is_help=True)
app.add_typer(prompts_app, name="prompts")

Ties = Literal["auto", "file", "ids"]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def main() -> None:
    """Run the command line; a mistake that can be explained is one line and an exit code."""
    try:
        app()
    except RerankError as error:
        print(f"rerank: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stdout = None  # the reader of our output has gone; say nothing more
        sys.exit(0)


@app.command()
def run(
    recipes: Annotated[list[Path], typer.Argument(help="Recipes, or folders with a recipe.toml.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, as in options.k=5.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N queries.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it would cost; load no model.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write each run to OUT/NAME, not beside its recipe.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Retrieve, rerank, write the run and score it; the same command again resumes."""
    from rerank import pipeline
    from rerank.cost import warnings
    from rerank.leaderboard import table
    from rerank.recipes import read_recipe

    changes = [*(changes or []), *([f"limit={limit}"] if limit else [])]
    plans = [(_folder(path, out), read_recipe(_recipe(path), changes)) for path in recipes]
    for folder, recipe in plans:
        for warning in warnings(recipe.row):
            printing.say(f"{folder}: {warning}")
    if dry_run:
        costs = {str(folder): pipeline.plan(recipe) for folder, recipe in plans}
        printing.costs(costs, as_json)
        return
    results = {}
    for folder, recipe in plans:
        with printing.progress() as progress:
            key = os.environ.get("OPENAI_API_KEY")
            results[str(folder)] = pipeline.run(recipe, folder, key, progress)
    printing.show(results if as_json else table({r["name"]: r for r in results.values()}))
    if any(_bad_answers(result["cost"]["answers"]) for result in results.values()):
        raise typer.Exit(DONE_WITH_FAILURES)


@app.command("eval")
def evaluate(
    run_files: Annotated[list[Path], typer.Argument(help="TREC runs, .gz too.", metavar="RUN...")],
    qrels: Annotated[Path, typer.Option(help="Judgments: BEIR tsv or TREC qrels.")],
    measures: Annotated[list[str] | None, typer.Option("-m", "--measure")] = None,
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


@app.command()
def rank(
    query: Annotated[str, typer.Argument(help="What is looked for.")],
    file: Annotated[str, typer.Argument(help="One text or JSON object a line; - for stdin.")],
    model: Annotated[
        str, typer.Option(help="A model folder, hub id or all-MiniLM-L6-v2.")
    ] = "all-MiniLM-L6-v2",
    method: Annotated[str, typer.Option(help="A row of `rerank methods`.")] = "scorer",
    top_n: Annotated[int | None, typer.Option(min=1, help="Only the best N.")] = None,
    engine: Annotated[str, typer.Option(help="auto, vllm, http, transformers or scorer.")] = "auto",
    base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible server.")] = None,
    as_json: Json = False,
) -> None:
    """Rank the lines of a file for a query, best first."""
    from dataclasses import asdict

    from rerank.reranker import Reranker

    key = os.environ.get("OPENAI_API_KEY")
    documents = _documents(file)
    with Reranker(model, method=method, engine=engine, base_url=base_url, api_key=key) as reranker:
        ranking = reranker.rerank(query, documents, top_n)
    if as_json:
        printing.show([asdict(hit) for hit in ranking])
    for hit in () if as_json else ranking:
        score = "-" if hit.score is None else f"{hit.score:.4f}"
        whole = isinstance(hit.document, str)
        text = hit.document if whole else json.dumps(hit.document, ensure_ascii=False)
        print(hit.rank, score, text, sep="\t")
    if _bad_answers(ranking.answers):
        raise typer.Exit(DONE_WITH_FAILURES)


@app.command()
def methods(as_json: Json = False) -> None:
    """List the methods: strategy, prompt, calls, rounds and paper."""
    from dataclasses import asdict

    from rerank.methods import METHODS

    if as_json:
        printing.show({name: asdict(method) for name, method in METHODS.items()})
        return
    for name, method in METHODS.items():
        print(
            f"{name}\n  {method.paper}\n  strategy {method.strategy}, prompt {method.prompt or '-'}"
        )
        print(f"  calls: {method.calls}; rounds: {method.rounds}")


@prompts_app.command("list")
def list_prompts(as_json: Json = False) -> None:
    """List the prompts that ship: name, question, reader, source."""
    from rerank import files
    from rerank.prompts import read_prompt

    found = {name: read_prompt(name).file for name in files.names("prompts")}
    if as_json:
        printing.show(
            {
                name: {"asks": f.asks, "reads": f.reads, "source": f.source}
                for name, f in found.items()
            }
        )
    for name, file in {} if as_json else found.items():
        print(f"{name}\t{file.asks}\t{file.reads}\t{file.source}")


@prompts_app.command("show")
def show_prompt(name: str) -> None:
    """Print a prompt's file."""
    from rerank import files

    print(files.find("prompts", name).read_text(encoding="utf-8"), end="")


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
    request = prompt.wording(Query("q", query), question).request
    if as_json:
        printing.show(
            {
                "messages": [m._asdict() for m in request.messages],
                "prefill": request.prefill,
                "want": str(request.want),
            }
        )
        return
    for message in request.messages:
        print(f"--- {message.role}\n{message.content}")
    print(f"--- assistant\n{request.prefill}\n--- wanted\n{request.want}")


@app.command()
def leaderboard(
    check: Annotated[bool, typer.Option("--check", help="Only say if it is up to date.")] = False,
    root: Annotated[Path, typer.Option("--runs", help="Where the run folders are.")] = Path("runs"),
    file: Annotated[Path, typer.Option(help="The table.")] = Path("eval/LEADERBOARD.md"),
) -> None:
    """Rebuild the table from the runs; the same runs give the same bytes."""
    from rerank.leaderboard import regenerate

    if not regenerate(root, file, check) and check:
        raise InputError.at(file, None, "is not what the runs say; run: rerank leaderboard")


@app.command()
def doctor(
    model: Annotated[str | None, typer.Option(help="Check the labels of this model, too.")] = None,
    as_json: Json = False,
) -> None:
    """Say what is installed, which engines work, and which prompts fit a model."""
    from rerank.doctor import examine, report

    found = examine(model)
    printing.show(found if as_json else report(found))


def _recipe(path: Path) -> Path:
    return path / "recipe.toml" if path.is_dir() else path


def _folder(path: Path, out: Path | None) -> Path:
    """Where a recipe's run goes: its own folder, or a folder of its name."""
    recipe = _recipe(path)
    named = recipe.parent if recipe.name == "recipe.toml" else recipe.with_suffix("")
    return out / named.resolve().name if out else named


def _bad_answers(answers: Mapping[str, int]) -> bool:
    """Whether some answers failed or could not be read."""
    return bool(answers["unreadable"] or answers["failed"])


def _documents(file: str) -> list[Any]:
    """The lines of a file or of stdin: JSON objects where a line starts with one, else text."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise InputError.at(file, None, str(wrong)) from None
    documents: list[Any] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("{"):
            try:
                documents.append(json.loads(line))
            except json.JSONDecodeError as wrong:
                raise InputError.at(file, number, f"not JSON: {wrong}") from None
        elif line.strip():
            documents.append(line)
    return documents
