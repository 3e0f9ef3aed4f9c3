"""Where things are: code in two folders, one file for each heavy dependency, data that loads."""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from rerank import files
from rerank.prompts import read_prompt
from rerank.recipes import read_recipe
from rerank.recipes.suites import read_suite

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    *("vllm", "torch", "transformers", "ranx", "bm25s", "pyserini", "faiss", "ray", "starlette"),
    *("datasets", "ir_datasets", "scipy", "sentence_transformers", "httpx", "tenacity"),
    *(
        "pyarrow",
        "sqlite3",
        "uvicorn",
        "altair",
        "langchain_core",
        "llama_index",
        "haystack",
        "peft",
        "trl",
    ),
}


def tracked(pattern):
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", pattern],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / name for name in listed.stdout.split()]


def imported(path):
    """The outside modules that a file imports, by statement or through `extra`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.Call(func=ast.Name("extra"), args=[ast.Constant(str(module)), *_]):
                yield module


def test_python_lives_in_rerank_and_tests_only():
    strangers = [
        p for p in tracked("*.py") if p.relative_to(ROOT).parts[0] not in ("rerank", "tests")
    ]
    assert strangers == []


def test_each_heavy_dependency_is_imported_in_one_file():
    where = defaultdict(set)
    for path in tracked("rerank/**.py"):
        for module in imported(path):
            if (top := module.split(".")[0]) in HEAVY:
                where[top].add(path.relative_to(ROOT).as_posix())
    assert {top: sorted(paths) for top, paths in where.items() if len(paths) > 1} == {}


def test_no_module_is_longer_than_300_lines():
    long = {p.name: n for p in tracked("*.py") if (n := len(p.read_text().splitlines())) > 300}
    assert long == {}


def test_no_file_names_a_package_host_or_a_path_of_a_machine():
    signs = (
        "find" + "-links",
        "index" + "-url",
        "/wor" + "k/",
        "/op" + "t/",
        "files.python" + "hosted",
    )
    guilty = [
        (path.relative_to(ROOT).as_posix(), sign)
        for path in tracked("*")
        if path.is_file() and path.suffix not in (".gz", ".parquet", ".png")
        for sign in signs
        if sign in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert guilty == []


@pytest.mark.parametrize("name", files.names("prompts"))
def test_every_prompt_loads_and_says_where_it_is_from(name):
    assert len(read_prompt(name).file.source) > 20


@pytest.mark.parametrize("name", files.names("suites"))
def test_every_suite_loads(name):
    assert read_suite(name).about


@pytest.mark.parametrize("path", sorted(ROOT.glob("runs/*/*/recipe.toml")), ids=str)
def test_every_recipe_loads(path):
    assert read_recipe(path).method


def test_importing_rerank_is_light():
    code = "import sys, rerank; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not HEAVY & {*run.stdout.split()}


@pytest.mark.slow
def test_a_wheel_built_from_the_sdist_holds_one_package_and_works_from_anywhere(tmp_path):
    uv = [sys.executable, "-m", "uv"]
    quiet = {"check": True, "capture_output": True, "text": True}
    subprocess.run([*uv, "build", "--quiet", "--out-dir", tmp_path, ROOT], **quiet)
    [wheel] = tmp_path.glob("*.whl")
    venv = tmp_path / "venv"
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, venv], **quiet)
    python = venv / "bin" / "python"
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, wheel], **quiet)
    listing = subprocess.run(["unzip", "-Z1", wheel], **quiet).stdout.split()
    tops = {name.split("/")[0] for name in listing}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "rerank",
        "haystack_integrations",
    }
    assert "haystack_integrations/components/rankers/rerank.py" in listing
    assert "rerank/leaderboard/web/page.html" in listing
    shown = subprocess.run([venv / "bin" / "rerank", "prompts", "list"], cwd="/", **quiet).stdout
    assert "listwise/first" in shown
    found = subprocess.run(
        [python, "-c", "import rerank.datasets as d; print(len(d.load('demo').queries))"],
        cwd="/",
        **quiet,
    )
    assert int(found.stdout) >= 50
