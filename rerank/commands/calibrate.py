"""`rerank calibrate`: from a judged collection to a file that tells how likely relevance is."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rerank import printing
from rerank.markdown import markdown

if TYPE_CHECKING:
    from rerank.calibration import Calibration
    from rerank.datasets import Dataset
    from rerank.library.reranker import Reranker
    from rerank.records import Run

HARDLY = 0.95
"""Of the log loss without scores: a mapping with more says hardly anything."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def calibrate(
    dataset: Annotated[str, typer.Argument(help="A judged collection, as in a recipe.")],
    model: Annotated[str, typer.Option(help="Whose scores.")] = "boxed",
    method: Annotated[str, typer.Option(help="A row of `rerank methods` that rates.")] = "auto",
    kind: Annotated[
        Literal["adapter", "platt", "isotonic"], typer.Option(help="The mapping.")
    ] = "adapter",
    first: Annotated[
        Path | None, typer.Option(help="A run whose documents are scored; else those judged.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="So many of each query of that run.")] = 100,
    relevant: Annotated[int, typer.Option(min=1, help="The least grade that counts.")] = 1,
    split: Annotated[str, typer.Option(help="Of the dataset.")] = "test",
    base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible server.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Remembers every reply.")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The file.")] = Path("calibration.json"),
    as_json: Json = False,
) -> None:
    """Fit probabilities of relevance to a model's scores, and say how true they are."""
    from rerank import files
    from rerank.calibration import Calibration, fit, judged, refuse_keep, without_scores
    from rerank.datasets import load, read_run
    from rerank.library.reranker import Reranker

    files.refuse_unwritable(out)
    collection = load(dataset, split)
    wanted = _wanted(collection, read_run(first) if first else None, depth)
    key = os.environ.get("OPENAI_API_KEY")
    with Reranker(
        model, method=method, base_url=base_url, api_key=key, journal=journal
    ) as reranker:
        refuse_keep({"score": 0}, reranker.method, reranker.score_kind, calibrated=False)
        scored = _scored(reranker, collection, wanted)
        given = judged(scored, collection.qrels, collection.queries, relevant)
        mapping, measured = fit(given, kind)
        made = Calibration(
            model=model,
            method=reranker.method,
            score_kind=reranker.score_kind,
            relevant=relevant,
            judged=collection.name,
            mapping=mapping,
            reliability=measured,
        )
    made.save(out)
    printing.say(f"wrote {out}")
    if measured.log_loss > HARDLY * without_scores(measured):
        more = "; --first RUN scores all that a search shows, not only what was judged"
        printing.say(f"these scores hardly tell what is relevant here{'' if first else more}")
    printing.show(made.model_dump(mode="json") if as_json else _report(made))


def _wanted(collection: "Dataset", run: "Run | None", depth: int) -> dict[str, list[str]]:
    """The documents of each judged query that are scored: a run's best, or those judged."""
    if run is None:
        return {name: list(grades) for name, grades in collection.qrels.items()}
    return {
        name: sorted(run.get(name, {}), key=lambda doc: -run[name][doc])[:depth]
        for name in collection.qrels
    }


def _scored(reranker: "Reranker", collection: "Dataset", wanted: dict[str, list[str]]) -> "Run":
    """What the model makes of them; what it could not read is left out."""
    corpus = collection.corpus
    batch = [
        (collection.queries[name].text, [corpus[doc]._asdict() for doc in ids if doc in corpus])
        for name, ids in wanted.items()
    ]
    rankings = reranker.rerank_many(batch)
    return {
        name: {str(hit.id): hit.score for hit in ranking if hit.score is not None}
        for name, ranking in zip(wanted, rankings, strict=True)
    }


def _report(made: "Calibration") -> str:
    """How true the probabilities are, as a table for a person."""
    from rerank.calibration import without_scores

    found = made.reliability
    rows = [("probability", "relevant", "documents")]
    rows += [(f"{b.probability:.3f}", f"{b.relevant:.3f}", f"{b.count:,}") for b in found.curve]
    return (
        f"{made.mapping.kind} for {made.method} of {made.model}, on {found.queries} queries"
        f" not fitted on: calibration error {found.error:.3f}, log loss {found.log_loss:.3f}"
        f" ({without_scores(found):.3f} without the scores), Brier score {found.brier:.3f}"
        f"\n\n{markdown(rows)}"
    )
