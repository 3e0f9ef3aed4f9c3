"""Collections on the Hugging Face hub, in the two layouts that BEIR has there.

Both have the configurations `corpus` and `queries`. `mteb/<name>` has the judgments as a third,
`default` or `qrels`; `BeIR/<name>` has them in a repository of their own, `BeIR/<name>-qrels`.
The only file that imports `datasets`.
"""

from collections.abc import Iterator
from typing import Any

from rerank.datasets.collection import (
    Dataset,
    Judged,
    Records,
    complete,
    docs,
    judgments,
    queries,
    required,
)
from rerank.datasets.lines import Place
from rerank.errors import InputError, extra

BATCH = 1000  # rows converted at once; one by one takes several times as long


def read_hub(source: str, split: str) -> Dataset:
    """The collection `owner/name` or `owner/name@revision`, with the judgments of one split.

    A revision pins the repository it names; a `-qrels` repository beside it has revisions of
    its own and is read at its newest. The folder of a local copy serves as a name too.
    """
    name, _, revision = source.partition("@")
    there = _call("get_dataset_config_names", name, revision=revision or None)
    if missing := [config for config in ("corpus", "queries") if config not in there]:
        raise InputError(
            f"hub:{name}: no configuration {' or '.join(missing)}; there is {', '.join(there)}"
        )
    judged = next((config for config in ("default", "qrels") if config in there), None)
    table = _table(name, judged, split, revision) if judged else _apart(f"{name}-qrels", split)
    return complete(
        name,
        qrels=judgments(_judged(f"hub:{name} qrels", table)),
        queries=queries(_texts(name, "queries", split, revision)),
        corpus=docs(_texts(name, "corpus", split, revision)),
    )


def _apart(name: str, split: str) -> Any:
    """Judgments in a repository of their own: a tsv, where the id 007 must not become 7."""
    hub = extra("datasets", "eval")
    kinds = {"query-id": "string", "corpus-id": "string", "score": "float64"}
    columns = hub.Features({column: hub.Value(kind) for column, kind in kinds.items()})
    return _table(name, None, split, features=columns)


def _table(name: str, config: str | None, split: str, revision: str = "", **options: Any) -> Any:
    """The rows of one split, or of the only split that there is."""
    splits = _call("load_dataset", name, config, revision=revision or None, **options)
    if split not in splits and len(splits) > 1:
        raise InputError(f"hub:{name}: no split {split}; there is {', '.join(splits)}")
    return splits[split] if split in splits else next(iter(splits.values()))


def _judged(place: str, table: Any) -> Judged:
    for at, row in _rows(place, table):
        query, doc, grade = (required(row, key, at) for key in ("query-id", "corpus-id", "score"))
        yield at, query, doc, grade


def _texts(name: str, config: str, split: str, revision: str) -> Records:
    table = _table(name, config, split, revision)
    if "id" in table.column_names and "_id" not in table.column_names:
        table = table.rename_column("id", "_id")
    kept = [column for column in ("_id", "title", "text") if column in table.column_names]
    return _rows(f"hub:{name} {config}", table.select_columns(kept))


def _rows(place: str, table: Any) -> Iterator[tuple[Place, dict[str, Any]]]:
    number = 0
    for batch in table.iter(batch_size=BATCH):
        for values in zip(*batch.values(), strict=True):
            number += 1
            yield Place(place, number), dict(zip(batch, values, strict=True))


def _call(function: str, *arguments: Any, **options: Any) -> Any:
    hub = extra("datasets", "eval")
    try:
        return getattr(hub, function)(*arguments, **options)
    except (OSError, ValueError, RuntimeError, hub.exceptions.DatasetsError) as wrong:
        reason = " ".join(str(wrong).split())
        raise InputError(f"hub:{arguments[0]}: cannot be loaded: {reason}") from wrong
