"""The run folder: `run.trec.gz`, `scores.parquet` and `result.json`, written whole or not at all.

Law: the same input gives the same bytes, on any day and in any folder, so that a run in version
control changes when its content does. This module does not know what a run is worth.
"""

import gzip
import hashlib
import io
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

from rerank.errors import InputError, extra
from rerank.records import Doc, Run

RUN = "run.trec.gz"
RESULT = "result.json"
SCORES = "scores.parquet"
ROW = ("dataset", "query", "measure", "value")

PerQuery: TypeAlias = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Values by dataset, measure and query."""


def folder_of(recipe: Path) -> Path:
    """Where a recipe's run goes: the recipe's own folder, or a folder of its name."""
    return recipe.parent if recipe.name == "recipe.toml" else recipe.with_suffix("")


def ranked_run(rankings: Mapping[str, Sequence[Doc]]) -> Run:
    """Give each query's documents, best first, the strictly falling scores n - rank + 1."""
    return {query: _scored(query, ranking) for query, ranking in rankings.items()}


def _scored(query: str, ranking: Sequence[Doc]) -> dict[str, float]:
    scores: dict[str, float] = {}
    for place, doc in enumerate(ranking):
        if doc.id in scores:
            raise InputError(f"query {query}: document {doc.id} is ranked twice")
        scores[doc.id] = float(len(ranking) - place)
    return scores


def write_run(path: Path, run: Run, tag: str) -> str:
    """Write TREC's six columns by query id and falling score; a name in .gz is compressed.

    Equal scores keep the given order, and the score column is n - rank + 1, whatever the scores
    were: no tool finds a tie to break its own way. An id or tag with white space, or a
    score that is not finite, is an InputError. Gives the SHA-256 of the text.
    """
    text = "".join(_lines(run, _word(tag, "tag"))).encode()
    _replace(path, _compressed(text) if path.suffix == ".gz" else text)
    return hashlib.sha256(text).hexdigest()


def run_sha256(path: Path) -> str:
    """The SHA-256 of a run's text, however well it is packed."""
    content = path.read_bytes()
    packed = path.suffix == ".gz"
    return hashlib.sha256(gzip.decompress(content) if packed else content).hexdigest()


def _lines(run: Run, tag: str) -> Iterator[str]:
    for query in sorted(run):
        _word(query, "query id")
        if not all(map(isfinite, run[query].values())):
            raise InputError(f"query {query}: a score is not a finite number; it has no rank")
        docs = sorted(run[query], key=run[query].__getitem__, reverse=True)
        for rank, doc in enumerate(docs, 1):
            score = len(docs) - rank + 1
            yield f"{query} Q0 {_word(doc, 'document id')} {rank} {score} {tag}\n"


def _word(text: str, what: str) -> str:
    if text.split() != [text]:
        raise InputError(
            f"the {what} {text!r} cannot be a column of a TREC run: it has white space or is empty"
        )
    return text


def _compressed(content: bytes) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(content)
    return packed.getvalue()


def write_scores(folder: Path, scores: PerQuery) -> bool:
    """Write `scores.parquet`, a row for each query and measure; false where pyarrow is missing.

    A run does without it, and a file of another run does not stay.
    """
    (folder / SCORES).unlink(missing_ok=True)
    if not scores or find_spec("pyarrow") is None:
        return False
    arrow, parquet = extra("pyarrow", "eval"), extra("pyarrow.parquet", "eval")
    rows = [
        (dataset, query, measure, value)
        for dataset, measures in scores.items()
        for measure, values in measures.items()
        for query, value in values.items()
    ]
    columns = map(list, zip(*rows, strict=True))
    table = arrow.table(dict(zip(ROW, columns, strict=True)))
    packed = io.BytesIO()
    parquet.write_table(table, packed, compression="zstd", store_schema=False)
    _replace(folder / SCORES, packed.getvalue())
    return True


def read_scores(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """The values of `scores.parquet` by dataset, measure and query."""
    if not (path := folder / SCORES).is_file():
        raise InputError.at(path, None, "not there; repeat the run with the extra eval installed")
    parquet, wrong = extra("pyarrow.parquet", "eval"), extra("pyarrow", "eval").ArrowException
    found: dict[str, dict[str, dict[str, float]]] = {}
    try:
        columns = parquet.read_table(path).to_pydict()
        for dataset, query, measure, value in zip(*map(columns.__getitem__, ROW), strict=True):
            found.setdefault(dataset, {}).setdefault(measure, {})[query] = value
    except (wrong, OSError, KeyError) as damage:
        raise InputError.at(path, None, f"no table of scores ({damage}); repeat the run") from None
    return found


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write `result.json` with sorted keys, numbers as they are; NaN is a ValueError."""
    text = json.dumps(result, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    _replace(folder / RESULT, f"{text}\n".encode())


def kept(folder: Path, result: dict[str, Any], times: Collection[str]) -> dict[str, Any]:
    """The folder's result where it says the same but for `times`: a replay takes none of its own.

    That is so if the journal answered everything that the run asked.
    """
    if result["cost"]["replayed"] < result["cost"]["calls"] or not (folder / RESULT).exists():
        return result
    try:
        known = read_result(folder)
    except InputError:  # damaged: this run writes it anew
        return result
    return known if _without(known, times) == _without(result, times) else result


def _without(value: Any, times: Collection[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(part, times) for key, part in value.items() if key not in times}
    return value


def read_results(root: Path) -> dict[str, dict[str, Any]]:
    """Every `result.json` below a folder, by its run's folder relative to it: `dl19/bm25`."""
    if not root.is_dir():
        raise InputError.at(root, None, "no such folder of runs")
    folders = sorted(file.parent for file in root.rglob(RESULT))
    return {folder.relative_to(root).as_posix(): read_result(folder) for folder in folders}


def read_result(folder: Path) -> dict[str, Any]:
    """What the `result.json` of a run folder says."""
    file = folder / RESULT
    try:
        result = json.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError.at(file, None, "not there; a run folder has one") from None
    except json.JSONDecodeError as error:
        raise InputError.at(file, error.lineno, f"{error.msg}; repeat the run") from None
    except UnicodeDecodeError:
        raise InputError.at(file, None, "not UTF-8 text; repeat the run") from None
    if not isinstance(result, dict):
        raise InputError.at(file, 1, "not a JSON object; repeat the run")
    return result


def _replace(path: Path, content: bytes) -> None:
    """Write beside the file and swap, so that a reader sees the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
