"""Every code block of the documentation runs, in the order of its page, and prints what it says.

A block with a title is a file of that name. A line `...` in an output stands for any lines, three
points in a line for anything in it. Where a page asks a server at port 8000, a real vLLM with a
tiny model answers under the name that the page gives it.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pages
import pytest
from servers import openai_server
from tiny import checkpoint

from rerank import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(ROOT.glob("docs/*.md"))
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.S | re.M)
OURS = re.compile(r"rerank [^|>]*$")
SERVED = "http://localhost:8000/v1"


class Block(NamedTuple):
    language: str
    title: str
    text: str
    output: str  # of the text block that follows at once


def blocks(page: Path) -> list[Block]:
    """The code of a page; what stands between two blocks is prose, or nothing."""
    text, found = page.read_text(encoding="utf-8"), []
    matches = [*FENCE.finditer(text)]
    for match, after in zip_longest(matches, matches[1:]):
        follows = after is not None and not text[match.end() : after.start()].strip()
        shown = after[3] if follows and after[1] == "text" else ""
        found.append(Block(match[1], match[2] or "", match[3], shown))
    return found


def alike(shown: str, printed: str) -> bool:
    lines = [r"(?:.*\n)*?" if line == "..." else spelled(line) for line in shown.splitlines()]
    return re.fullmatch("".join(lines), printed) is not None


def spelled(line: str) -> str:
    return ".*".join(map(re.escape, line.split("..."))) + r" *\n"


class Session:
    """A page's folder, its Python names, and the servers that it started."""

    def __init__(self, folder: Path, served: str) -> None:
        self.folder, self.served = folder, served
        self.names: dict[str, object] = {"__name__": "__main__"}
        self.started: list[subprocess.Popen[bytes]] = []
        tools = folder / ".bin"
        tools.mkdir()
        command = tools / "rerank"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m rerank.cli "$@"\n')
        command.chmod(0o755)
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}

    def run(self, block: Block) -> None:
        if block.title:
            file = self.folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
        elif block.language == "python":
            printed = StringIO()
            with redirect_stdout(printed):
                exec(compile(block.text.replace(SERVED, self.served), "docs", "exec"), self.names)
            assert alike(block.output, printed.getvalue()), printed.getvalue()
        elif block.language == "console":
            self._console(block.text)

    def _console(self, text: str) -> None:
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.M):
            if command.endswith(" &"):
                self._start(command.removesuffix(" &"))
                continue
            code, said = self._rerank(command) if OURS.match(command) else self._shell(command)
            printed = said.strip("\n") + "\n" if said.strip() else ""
            assert code == 0 and alike(shown, printed), f"$ {command}\n{said}"

    def _rerank(self, command: str) -> tuple[int, str]:
        """Our own command in this process, which has imported torch already."""
        said = StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
            patch.setattr(sys, "argv", shlex.split(command, comments=True))
            try:
                cli.main()
            except SystemExit as end:
                return int(end.code or 0), said.getvalue()
        return 0, said.getvalue()

    def _shell(self, command: str) -> tuple[int, str]:
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, **both)
        return done.returncode, done.stdout

    def _start(self, command: str) -> None:
        self.started.append(
            subprocess.Popen(["bash", "-c", f"exec {command}"], env=self.environment)
        )
        port = re.search(r"--port (\d+)", command)
        end = time.monotonic() + 120
        while time.monotonic() < end and self.started[-1].poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.2)
        pytest.fail(f"did not start: {command}")

    def close(self) -> None:
        for server in self.started:
            server.terminate()
            assert server.wait(60) in (0, -signal.SIGTERM)


@pytest.fixture
def session(tmp_path, monkeypatch, request) -> Iterator[Session]:
    page = request.node.callspec.params["page"]
    served = request.getfixturevalue("llm") if SERVED in page.read_text() else ""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    session = Session(tmp_path, served)
    yield session
    session.close()


@pytest.fixture(scope="module")
def llm(tmp_path_factory) -> Iterator[str]:
    """The URL of a server that calls a tiny model by the name of a large one."""
    folder = checkpoint(tmp_path_factory.mktemp("llm") / "tiny")
    with openai_server(folder, model="Qwen/Qwen3-8B") as url:
        yield url


def marked(page: Path):
    """A page that needs the model on a server needs vLLM."""
    marks = [pytest.mark.slow, *([pytest.mark.vllm] if SERVED in page.read_text() else [])]
    return pytest.param(page, id=page.name, marks=marks)


@pytest.mark.parametrize("page", [*map(marked, PAGES)])
def test_every_block_of_a_page_runs_and_prints_what_it_says(page, session):
    for block in blocks(page):
        session.run(block)


@pytest.mark.slow
def test_the_examples_of_the_readme_run_as_printed_offline(tmp_path):
    """The first alone, then all of them, in a process that can open no connection."""
    offline = (
        "import socket\n"
        "def refuse(*_): raise OSError('offline')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
    )
    python = [block for block in blocks(ROOT / "README.md") if block.language == "python"]
    assert len(python) > 1
    for count in (1, len(python)):
        code = offline + "\n".join(block.text for block in python[:count])
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "".join(block.output for block in python[:count])


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_that_the_code_writes_is_what_the_code_says(name):
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == pages.PAGES[name](), "run: python tests/pages.py"


def test_every_page_is_in_the_table_of_contents_and_every_link_leads_somewhere():
    contents = (ROOT / "mkdocs.yml").read_text()
    for page in PAGES:
        assert f": {page.name}\n" in contents
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_code_block_has_a_language_that_is_run_or_shown():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert text.count("\n```") == 2 * len(blocks(page)), page.name
        assert {b.language for b in blocks(page)} <= {"python", "console", "text", "toml"}
        assert all(block.title for block in blocks(page) if block.language == "toml")


@pytest.mark.slow
def test_the_site_is_built_from_the_repository(tmp_path):
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    site = tmp_path / "build" / "site"
    assert "Reranker" in (site / "api" / "index.html").read_text()
    assert (site / "index.html").exists() and (site / "methods" / "index.html").exists()
