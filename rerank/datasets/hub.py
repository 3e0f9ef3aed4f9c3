"""The Hugging Face hub: rows of its datasets, its files, and collections in the layout of BEIR.

A collection has the configurations `corpus` and `queries`. `mteb/<name>` has the judgments as a
third, `default` or `qrels`; `BeIR/<name>` has them in a repository of their own,
`BeIR/<name>-qrels`. A repository of several collections (CoIR, MIRACL) writes the subset before
each: `python-corpus`. A configuration `top_ranked` lists the only candidates of a query.
The only file that imports `datasets`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rerank.datasets.collection import (
    Dataset,
    Judged,
    Records,
    complete,
    docs,
    identifier,
    judgments,
    pooling,
    queries,
    required,
)
from rerank.datasets.lines import Place
from rerank.errors import InputError, extra
from rerank.recipes.suites import Entry

BATCH = 1000  # rows converted at once; one by one takes several times as long
COMMIT = 40  # hexadecimal digits


class Repository(NamedTuple):
    """`owner/name`, and the revision that is meant; the folder of a local copy serves as a name."""

    name: str
    revision: str | None = None

    def table(self, config: str | None, split: str, **options: Any) -> Any:
        """One split of a configuration, or the only split that there is."""
        splits = _call("load_dataset", self.name, config, revision=self.revision, **options)
        if split not in splits and len(splits) > 1:
            raise InputError(f"hub:{self.name}: no split {split}; there is {', '.join(splits)}")
        return splits[split] if split in splits else next(iter(splits.values()))

    def rows(self, config: str | None, split: str) -> Iterator[tuple[Place, dict[str, Any]]]:
        """The rows of one split, and where each stands."""
        return rows(f"hub:{self.name} {config or split}", self.table(config, split))

    def configurations(self) -> list[str]:
        names: list[str] = _call("get_dataset_config_names", self.name, revision=self.revision)
        return names

    def origin(self, table: Any) -> str:
        """Where a table came from, with the commit under which the cache keeps it."""
        folders = [Path(file["filename"]).parent.name for file in table.cache_files[:1]]
        commit = next((name for name in folders if len(name) == COMMIT), self.revision)
        return f"hub:{self.name}@{commit}" if commit else f"hub:{self.name}"


def repository(where: str) -> Repository:
    """The repository of `hub:owner/name` or `hub:owner/name@revision`."""
    kind, _, named = where.partition(":")
    if kind != "hub" or not named:
        raise InputError(f"{where}: this format is read from hub:owner/name@revision")
    name, _, revision = named.partition("@")
    return Repository(name, revision or None)


def read_hub(entry: Entry) -> Dataset:
    """A collection in the layout of BEIR, with the judgments of one split.

    A revision pins the repository it names; a `-qrels` repository beside it has revisions of
    its own and is read at its newest.
    """
    there, at = repository(entry.source), f"{entry.subset}-" if entry.subset else ""
    configs = there.configurations()
    asked = next((c for c in (f"{at}queries", "query") if c in configs), f"{at}queries")
    corpus = f"{at}corpus"
    if missing := [config for config in (corpus, asked) if config not in configs]:
        raise InputError(
            f"hub:{there.name}: no configuration {' or '.join(missing)}; "
            f"there is {', '.join(configs)}"
        )
    judged, table = _judged_table(there, configs, at, entry.split)
    texts = there.table(asked, entry.split)
    ranked = f"{at}top_ranked"
    read = complete(
        there.name,
        qrels=judgments(_judged(f"hub:{there.name} qrels", table)),
        queries=queries(_texts(f"hub:{there.name} {asked}", texts)),
        corpus=docs(_texts(f"hub:{there.name} {corpus}", there.table(corpus, entry.split))),
        origin=", ".join(dict.fromkeys((there.origin(texts), judged.origin(table)))),
    )
    return pooling(read, _pools(there, ranked, entry.split)) if ranked in configs else read


def fetch(there: Repository, path: str) -> Path:
    """A file of a repository, from the cache or from the hub."""
    hub = extra("huggingface_hub", "eval")
    try:
        return Path(
            hub.hf_hub_download(there.name, path, repo_type="dataset", revision=there.revision)
        )
    except (OSError, ValueError, hub.errors.EntryNotFoundError) as wrong:
        reason = " ".join(str(wrong).split())
        raise InputError(f"hub:{there.name}/{path}: cannot be loaded: {reason}") from wrong


def _judged_table(
    there: Repository, configs: list[str], at: str, split: str
) -> tuple[Repository, Any]:
    """The judgments, and the repository that has them."""
    named = (f"{at}qrels",) if at else ("default", "qrels")
    if judged := next((config for config in named if config in configs), None):
        return there, there.table(judged, split)
    if at:
        raise InputError(f"hub:{there.name}: no configuration {named[0]}")
    apart = Repository(f"{there.name}-qrels")
    return apart, _apart(apart, split)


def _apart(there: Repository, split: str) -> Any:
    """Judgments in a repository of their own: a tsv, where the id 007 must not become 7."""
    hub = extra("datasets", "eval")
    kinds = {"query-id": "string", "corpus-id": "string", "score": "float64"}
    columns = hub.Features({column: hub.Value(kind) for column, kind in kinds.items()})
    return there.table(None, split, features=columns)


def _judged(place: str, table: Any) -> Judged:
    """Without a column of grades (NanoBEIR), what is listed is relevant."""
    graded = "score" in table.column_names
    for at, row in rows(place, table):
        query, doc = required(row, "query-id", at), required(row, "corpus-id", at)
        yield at, query, doc, required(row, "score", at) if graded else 1


def _texts(place: str, table: Any) -> Records:
    if "id" in table.column_names and "_id" not in table.column_names:
        table = table.rename_column("id", "_id")
    kept = [column for column in ("_id", "title", "text") if column in table.column_names]
    return rows(place, table.select_columns(kept))


def _pools(there: Repository, config: str, split: str) -> dict[str, list[str]]:
    pools: dict[str, list[str]] = {}
    for at, row in there.rows(config, split):
        query = identifier(required(row, "query-id", at), "query-id", at)
        listed = required(row, "corpus-ids", at)
        pools.setdefault(query, []).extend(identifier(doc, "corpus-ids", at) for doc in listed)
    return pools


def rows(place: str, table: Any) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The rows of a table, and where each stands."""
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
