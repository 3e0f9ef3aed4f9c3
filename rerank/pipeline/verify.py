"""Whether a run folder says the truth: what can be computed again is, from the run and the data.

Law: nothing is trusted that a file here can be asked instead. What differs is one line each, and
what cannot be checked is such a line too: a run whose data are gone is not verified.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from rerank import files, runs
from rerank.datasets import read_run
from rerank.errors import InputError, RerankError
from rerank.pipeline import evidence
from rerank.recipes import Recipe, changed, read_recipe
from rerank.records import Run
from rerank.tasks import Task, load_tasks, suite_of

PerMeasure: TypeAlias = Mapping[str, Mapping[str, float]]
ADDED_UP = ("questions", "calls", "slots", "prompt_tokens", "completion_tokens", "queries")


def verify(folder: Path, changes: Sequence[str] = ()) -> list[str]:
    """What in a run folder is not as the run file and the data have it, a line each.

    `changes` are `key=value` for data that have moved since, such as `dataset=../there`, or those
    that the run was made with.
    """
    result = runs.read_result(folder)
    try:
        recipe = files.checked(Recipe, result["recipe"], folder / runs.RESULT)
        where = files.checked(Recipe, changed(result["recipe"], changes), folder / runs.RESULT)
        return [*_made_from(folder, result, recipe, changes), *_numbers(folder, result, where)]
    except (KeyError, TypeError, AttributeError) as missing:
        what = f"not what this version writes ({type(missing).__name__}: {missing}); repeat the run"
        raise InputError.at(folder / runs.RESULT, None, what) from None


def _made_from(
    folder: Path, result: Mapping[str, Any], recipe: Recipe, changes: Sequence[str]
) -> Iterator[str]:
    """The recipe and the wording, by their hashes, and the sums of the costs."""
    yield from _unlike("recipe_sha256", result["recipe_sha256"], evidence.recipe_sha256(recipe))
    yield from _unlike("prompt_sha256", result["prompt_sha256"], evidence.prompt_sha256(recipe))
    if (path := folder / "recipe.toml").is_file() and (odd := _odd_keys(path, recipe, changes)):
        yield (
            f"{path} is not the recipe that this run was made from: {', '.join(odd)}; it was run"
            " with --set (verify it with the same), or the recipe has changed since (repeat the"
            " run)"
        )
    for key in ADDED_UP:
        total = sum(part["cost"][key] for part in result["datasets"].values())
        yield from _unlike(f"cost.{key}", result["cost"][key], total)


def _odd_keys(path: Path, recipe: Recipe, changes: Sequence[str]) -> list[str]:
    """Each key that neither a recipe's file nor the file with changes has as the run has it."""
    raw = files.read_toml(path)
    again = files.checked(Recipe, changed(raw, changes), path)
    run, plain, other = (
        _flat(one.model_dump(mode="json", exclude_defaults=True, by_alias=True))
        for one in (recipe, read_recipe(path), again)
    )
    keys = dict.fromkeys([*plain, *run])
    odd = [key for key in keys if run.get(key) not in (plain.get(key), other.get(key))]
    made, written = _flat(recipe.model_dump(mode="json", by_alias=True)), _flat(raw)
    return [
        f"{key} is {_said(made, key)} in the run and {_said(written, key)} in it" for key in odd
    ]


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a table and of those in it, by keys with dots."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        inner = isinstance(value, dict) and value
        found |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return found


def _said(values: Mapping[str, Any], key: str) -> str:
    return "not set" if values.get(key) is None else json.dumps(values[key], default=str)


def _numbers(folder: Path, result: Mapping[str, Any], recipe: Recipe) -> Iterator[str]:
    """Every hash and every score, dataset by dataset; what cannot be read is said."""
    found: dict[str, Any] = {}
    try:
        scores = runs.read_scores(folder) if result["scores"] else {}
        for task in load_tasks(recipe, suite_of(recipe)):
            if task.name not in result["datasets"]:
                yield f"dataset {task.name} is not in {runs.RESULT}"
                continue
            part = result["datasets"][task.name]
            measures = part.get("measures", result["measures"])
            again, per_query = _again(folder / part["file"], task, measures)
            found[task.name] = again
            for key, value in again.items():
                yield from _unlike(f"{task.name}.{key}", part.get(key), value)
            kept = scores.get(task.name, {}) if result["scores"] else per_query
            yield from _scores(f"{task.name} in {runs.SCORES}", kept, per_query)
            yield from _lost(task, read_run(folder / part["file"]))
    except RerankError as missing:
        yield f"cannot be checked: {missing}"
        return
    yield from (f"dataset {name} is gone" for name in result["datasets"] if name not in found)
    for part in ("mean", "first_stage"):
        yield from _unlike(part, result[part], evidence.means(found, part))


def _again(
    path: Path, task: Task, measures: Sequence[str]
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    run = read_run(path)
    part, per_query = evidence.of_dataset(task, run, measures)
    try:
        return part | {"run_sha256": runs.run_sha256(path)}, per_query
    except (OSError, EOFError, zlib.error) as damage:
        raise InputError.at(path, None, f"cannot be read: {damage}") from None


def _lost(task: Task, run: Run) -> Iterator[str]:
    """A reranker returns all that it was given."""
    lost = {
        query.id: sum(doc.id not in run.get(query.id, {}) for doc in docs)
        for query, docs in task.candidates.items()
    }
    if counts := {query: count for query, count in lost.items() if count}:
        first = next(iter(counts))
        yield (
            f"{task.name}: {sum(counts.values())} candidates of {len(counts)} queries are not in"
            f" the run; the first query is {first!r}"
        )


def _scores(where: str, said: PerMeasure, found: PerMeasure) -> Iterator[str]:
    """A line for each measure that has queries of another value."""
    for measure in sorted(said.keys() | found.keys()):
        mine, theirs = said.get(measure, {}), found.get(measure, {})
        odd = [q for q in {**theirs, **mine} if mine.get(q) != theirs.get(q)]
        if odd:
            values = f"{mine.get(odd[0])}, and is {theirs.get(odd[0])}"
            yield f"{where}: {measure} of {len(odd)} queries; that of {odd[0]!r} is {values}"


def _unlike(what: str, said: Any, found: Any) -> Iterator[str]:
    """A line for each value that is not what was found, tables key by key."""
    if isinstance(said, dict) and isinstance(found, dict):
        for key in sorted(said.keys() | found.keys()):
            yield from _unlike(f"{what}.{key}", said.get(key), found.get(key))
    elif said != found:
        yield f"{what} is said to be {json.dumps(said)}, and is {json.dumps(found)}"
