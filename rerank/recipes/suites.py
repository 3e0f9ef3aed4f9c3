"""A suite: which datasets, where each is and what is known of it. Read from TOML, and only that.

Law: a suite is a yardstick, so what it names cannot change under it. Every repository of the
hub or of GitHub is named with the revision that is meant, as 40 hexadecimal digits, or its entry
says under `unpinned` why not. Loads no collection and knows no measure.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pydantic

from rerank import files
from rerank.errors import InputError
from rerank.files import Strict

PINNED = re.compile(r"[^@]+@[0-9a-f]{40}(/.*)?")


class Entry(Strict):
    """A dataset of a suite: where it is, how it is read, and what one must know of it.

    `source` is a BEIR folder, `hub:owner/name@revision`, `github:owner/name@commit/folder`,
    `irds:id` or `demo`; `corpus`, `qrels` and `excluded` say where a part is that is not there.
    `subset` is a part of a repository that holds several collections; an entry with a list of
    `subsets` stands for as many. `files` are the names that format `tsv` gives its files. With
    `exclude_query` a document with the query's own id is no candidate, with `judged_only` none
    that nobody judged. Measures that take no grades count as relevant what has `relevant` or
    more. `documents` and `queries` (judged ones) are checked when the collection is read.
    """

    source: str
    name: str = ""
    format: Literal["beir", "bright", "reranking", "loco", "tsv"] = "beir"
    split: str = "test"
    subset: str = ""
    corpus: str = ""
    qrels: str = ""
    excluded: str = ""
    exclude_query: bool = False
    judged_only: bool = False
    files: dict[Literal["corpus", "queries", "qrels"], str] = pydantic.Field(default_factory=dict)
    measures: tuple[str, ...] | None = pydantic.Field(None, min_length=1, strict=False)
    relevant: int = pydantic.Field(1, ge=1)
    documents: int | None = pydantic.Field(None, ge=1)
    queries: int | None = pydantic.Field(None, ge=1)
    bm25: dict[str, float] = pydantic.Field(default_factory=dict)
    bm25_source: str = ""
    licence: str = ""
    traps: tuple[str, ...] = pydantic.Field((), strict=False)
    unpinned: str = ""

    @property
    def label(self) -> str:
        """What it is called where it is spoken of."""
        return self.name or self.source

    @property
    def loose(self) -> list[str]:
        """The places it names that may hold something else tomorrow."""
        places = (self.source, self.corpus, self.qrels, self.excluded)
        return [place for place in places if not _fixed(place)]


class Suite(Strict):
    """A yardstick: which datasets, which measures, how deep the first stage goes.

    Each dataset is a source or a table; what `defaults` says holds for all that say nothing else.
    """

    about: str = ""
    source: str = ""
    traps: tuple[str, ...] = pydantic.Field((), strict=False)
    measures: tuple[str, ...] = pydantic.Field(
        ("ndcg@10", "recall@100"), min_length=1, strict=False
    )
    depth: int = pydantic.Field(100, ge=1)
    defaults: dict[str, Any] = pydantic.Field(default_factory=dict)
    datasets: tuple[Entry, ...] = pydantic.Field(min_length=1, strict=False)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _entries(cls, raw: Any) -> Any:
        """Entries as tables, each with the defaults; one with `subsets` is many."""
        if not isinstance(raw, dict) or not isinstance(raw.get("datasets"), list):
            return raw
        defaults = raw.get("defaults", {})
        defaults = defaults if isinstance(defaults, dict) else {}
        tables = [{"source": one} if isinstance(one, str) else one for one in raw["datasets"]]
        whole = [{**defaults, **one} if isinstance(one, dict) else one for one in tables]
        return {**raw, "datasets": [one for table in whole for one in _subsets(table)]}


def read_suite(name: str) -> Suite:
    """A suite of ours by name, or a TOML file by path; `beir:scifact,fiqa` is a part of one."""
    name, _, wanted = (name, "", "") if Path(name).is_file() else name.partition(":")
    path = files.find("suites", name)
    suite = files.checked(Suite, files.read_toml(path), path)
    if mistake := _mistake(suite):
        raise InputError.at(path, None, mistake)
    return _chosen(suite, wanted.split(","), path) if wanted else suite


def _subsets(table: Any) -> list[Any]:
    if not isinstance(table, dict) or not isinstance(table.get("subsets"), list):
        return [table]
    shared = {key: value for key, value in table.items() if key not in ("subsets", "name")}
    stem = f"{table['name']}-" if table.get("name") else ""
    return [{**shared, "subset": one, "name": f"{stem}{one}"} for one in table["subsets"]]


def _mistake(suite: Suite) -> str:
    """What entries that are right by themselves get wrong together; empty if nothing."""
    names = [entry.name for entry in suite.datasets if entry.name]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        return f"two datasets are called {twice[0]!r}"
    for entry in suite.datasets:
        if entry.loose and not entry.unpinned:
            return (
                f"{entry.loose[0]} names no revision; add @ and the 40 hexadecimal digits of a "
                'commit, or say why not: unpinned = "..."'
            )
        if entry.unpinned and not entry.loose:
            return f"{entry.source}: key 'unpinned' says why something is loose, and nothing is"
        if entry.bm25 and not entry.bm25_source:
            return f"{entry.source}: key 'bm25' needs 'bm25_source': who measured it, and how"
    return ""


def _fixed(place: str) -> bool:
    """Files and folders are the user's own; ir_datasets checks what it fetches by its hash."""
    kind, _, name = place.partition(":")
    local = kind == "hub" and name.startswith((".", "/"))
    return kind not in ("hub", "github") or local or PINNED.fullmatch(name) is not None


def _chosen(suite: Suite, wanted: list[str], path: Path) -> Suite:
    by_name: Mapping[str, Entry] = {entry.name: entry for entry in suite.datasets if entry.name}
    if unknown := [name for name in wanted if name not in by_name]:
        there = ", ".join(by_name) or "none with a name"
        raise InputError.at(path, None, f"no dataset {unknown[0]!r} in it; there are: {there}")
    return suite.model_copy(update={"datasets": tuple(by_name[name] for name in wanted)})
