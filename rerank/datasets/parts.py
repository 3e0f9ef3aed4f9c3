"""Single files of a collection: on this machine, on the hub, or in a repository of GitHub.

What is fetched from GitHub is kept in the cache under its commit, and never fetched again.
"""

import os
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path

from rerank import files
from rerank.datasets import hub
from rerank.datasets.collection import identifier
from rerank.datasets.lines import Place, lines
from rerank.errors import InputError

GITHUB = "https://raw.githubusercontent.com"
SECONDS = 60  # without a byte before a transfer is given up


def fetched(where: str) -> Path:
    """The file at a path, at `hub:owner/name@revision/path` or `github:owner/name@commit/path`."""
    kind, _, named = where.partition(":")
    if kind not in ("hub", "github"):
        return Path(where)
    if kind == "hub" and named.startswith(("/", ".")):
        return Path(named)
    owner, _, rest = named.partition("/")
    repository, _, path = rest.partition("/")
    name, _, revision = f"{owner}/{repository}".partition("@")
    if not path:
        raise InputError(f"{where}: names no file; write {kind}:owner/name@revision/path")
    if kind == "hub":
        return hub.fetch(hub.Repository(name, revision or None), path)
    return _github(name, revision or "HEAD", path)


def pairs(path: Path) -> dict[str, set[str]]:
    """Documents by query, from lines of a query id, a document id and perhaps more columns."""
    found: dict[str, set[str]] = defaultdict(set)
    for number, line in lines(path):
        at, columns = Place(path, number), line.split()
        if len(columns) < 2:
            raise at.error("needs two columns: a query id and a document id")
        found[identifier(columns[0], "query-id", at)].add(columns[1])
    return dict(found)


def _github(name: str, commit: str, path: str) -> Path:
    copy = files.cache() / "github" / name / commit / path
    if copy.is_file():
        return copy
    url = f"{GITHUB}/{name}/{commit}/{path}"
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            content = answer.read()
    except (urllib.error.URLError, TimeoutError) as wrong:
        reason = getattr(wrong, "reason", wrong)
        raise InputError(f"github:{name}@{commit}/{path}: cannot be loaded: {reason}") from wrong
    copy.parent.mkdir(parents=True, exist_ok=True)
    part = copy.with_name(f".{copy.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(copy)
    return copy
