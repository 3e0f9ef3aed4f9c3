"""The command line as tests type it: fixtures that every test has, and what they print."""

import sys
from pathlib import Path

import pytest
from fakes import ScriptedEngine
from small import beir

from rerank import cli
from rerank.wants import Reply


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def here(tmp_path, monkeypatch, cache):
    """An empty folder to work in, an index cache of our own, and no key of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RERANK_CACHE", str(cache))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def rerank(capsys, monkeypatch):
    """Run `rerank ARGUMENTS`; gives the exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rerank", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as left:
            code = left.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def fails(rerank):
    """Run a command that must fail: an exit code, one line on stderr, nothing on stdout."""

    def run(*arguments):
        code, out, err = rerank(*arguments)
        lines = [line for line in err.splitlines() if not line.startswith("rerank: loading ")]
        assert out == ""
        assert len(lines) == 1, err
        assert lines[0].startswith("rerank: ")
        assert "Traceback" not in err
        return code, f"{lines[0]}\n"

    return run


@pytest.fixture
def small(here):
    return beir(here / "small")


def recipe(text, name="mine"):
    path = Path(f"{name}.toml")
    path.write_text(text)
    return path


ORACLE = 'dataset = "small"\nmethod = "setwise-heapsort"\njudge = "oracle"\n'
SCORER = 'dataset = "small"\nmethod = "scorer"\nmodel = "any"\n'


def wrote(folder):
    return f"rerank: wrote {folder}: run.trec.gz and result.json\n"


def engines(monkeypatch, reply):
    """Have every model that is opened answer by `reply`; gives what was opened."""
    opened = []

    def open_engine(name, model, options):
        opened.append((name, model, options))
        return ScriptedEngine(reply)

    monkeypatch.setattr("rerank.pipeline.running.open_engine", open_engine)
    monkeypatch.setattr("rerank.library.reranker.open_engine", open_engine)
    return opened


def by_length(request):
    return Reply(scores=(float(len(request.want.doc)),))


def rows(table):
    """A Markdown table's rows as dictionaries."""
    head, _, *body = [
        [cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()
    ]
    return [dict(zip(head, row, strict=True)) for row in body]
