"""Engines that fail, extras that are missing, and the command in a process of its own."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from small import DOCS, QUERIES
from typed import ORACLE, SCORER, by_length, engines, recipe, rows, wrote

from rerank.wants import Reply

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("here")


def failing(request):
    """No reply about one document, a score for the others."""
    if "document3 " in request.want.doc:
        return Reply(error="HTTP 500 from somewhere: it is broken")
    return by_length(request)


def test_a_failed_answer_ends_the_run_with_5_and_the_same_command_goes_on(
    rerank, fails, small, monkeypatch
):
    engines(monkeypatch, failing)
    path = recipe(f"{SCORER}at_once = 1\n")
    code, err = fails("run", path)
    assert code == 5 and "mine.toml: query 'q" in err and "HTTP 500 from somewhere" in err
    assert sorted(file.name for file in Path("mine").iterdir())[0] == "journal.sqlite"
    assert not Path("mine/run.trec.gz").exists()
    asked = []
    engines(monkeypatch, lambda request: asked.append(request) or by_length(request))
    code, out, _ = rerank("run", path, "--json")
    result = json.loads(out)["mine"]
    assert code == 0 and result["cost"]["calls"] == QUERIES * DOCS > len(asked)


def test_a_server_that_is_not_there_or_no_server_is_one_line(fails, small):
    text = SCORER.replace("scorer", "listwise")
    code, err = fails("run", recipe(f'{text}base_url = "http://127.0.0.1:1/v1"\n'))
    assert code == 5 and "mine.toml: no answer from http://127.0.0.1:1/v1" in err
    code, err = fails("run", recipe(f'{text}base_url = "localhost"\n'))
    assert code == 2 and "starts with http://" in err
    code, err = fails("run", recipe(f'{text}base_url = "http://x"\nengine_options.wait = 1\n'))
    assert code == 2 and "engine http has no option 'wait'; it takes: base_url" in err
    code, err = fails("run", recipe(f'{SCORER}base_url = "http://127.0.0.1:1/v1"\n'))
    assert code == 5 and "prompt pointwise/score wants Pair, but engine http serves Text" in err


def test_with_keep_failed_queries_keep_their_order_are_listed_and_the_exit_code_is_7(
    rerank, small, monkeypatch
):
    engines(monkeypatch, failing)
    rerank("run", recipe('dataset = "small"\nmethod = "first-stage"\n', "before"))
    code, out, err = rerank("run", recipe(f'{SCORER}on_error = "keep"\n'), "--json")
    result = json.loads(out)["mine"]
    assert code == 7
    assert err == (
        f"rerank: loading any on engine scorer\n{wrote('mine')}"
        "rerank: mine: 4 answers failed; the same command asks for them again;"
        " 4 queries keep their first-stage order (result.json says why)\n"
    )
    failed = result["cost"]["failed_queries"]
    assert [one["query"] for one in failed] == ["q0", "q1", "q2", "q3"]
    assert failed[0]["error"] == "HTTP 500 from somewhere: it is broken"
    assert ranked("mine") == ranked("before")


def ranked(folder):
    text = gzip.decompress(Path(folder, "run.trec.gz").read_bytes()).decode()
    return [line.split()[:5] for line in text.splitlines()]


def test_an_unreadable_answer_is_done_with_7(rerank, small, monkeypatch):
    engines(monkeypatch, lambda request: Reply(text="I would rather not say"))
    code, out, err = rerank("run", recipe(SCORER.replace("scorer", "listwise")))
    assert code == 7
    assert {row["run"]: row["not ok"] for row in rows(out)} == {
        "mine": str(QUERIES),
        "bm25 (first stage)": "-",
    }
    assert err.endswith("rerank: mine: 4 of 4 answers could not be read\n")


class Without:
    """A finder that does not find one package, as where it is not installed."""

    def __init__(self, finder, gone):
        self.finder, self.gone = finder, gone

    def find_spec(self, name, *rest):
        return None if name.split(".")[0] == self.gone else self.finder.find_spec(name, *rest)

    def __getattr__(self, name):
        return getattr(self.finder, name)


@pytest.mark.parametrize(
    ("gone", "extra", "arguments"),
    [
        ("bm25s", "eval", ["run", "mine.toml"]),
        ("numpy", "eval", ["run", "judged.toml"]),
        ("numpy", "eval", ["eval", "first.trec", "--qrels", "small/qrels/test.tsv"]),
        ("torch", "transformers", ["rank", "sky", "first.trec"]),
    ],
)
def test_a_missing_extra_is_exit_3_and_the_line_that_installs_it(
    fails, small, monkeypatch, gone, extra, arguments
):
    recipe(ORACLE)
    recipe(f'{ORACLE}first = "first.trec"\n', "judged")
    Path("first.trec").write_text("q0 Q0 d1 1 2 t\n")
    for name in [name for name in sys.modules if name.split(".")[0] == gone]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Without(finder, gone) for finder in sys.meta_path])
    code, err = fails(*arguments)
    assert code == 3 and gone in err
    assert err.endswith(f"is not installed; run: pip install -e '{ROOT}[{extra}]'\n")
    assert not Path("mine").exists() and not Path("judged").exists()


def command(*arguments, code=None, **options):
    """The command in a process of its own, as a user starts it."""
    start = ["-c", code] if code else ["-m", "rerank.cli"]
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


def test_help_lists_the_verbs_and_loads_nothing_for_it():
    code = (
        "import sys; from rerank import cli; sys.argv = ['rerank', '--help']\n"
        "try: cli.main()\n"
        "finally: print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = command(code=code)
    for verb in ("run", "eval", "rank", "methods", "prompts", "leaderboard", "doctor"):
        assert f" {verb} " in done.stdout
    loaded = set(done.stderr.split())
    heavy = {"torch", "numpy", "pydantic", "httpx", "jinja2", "sqlite3", "tenacity", "transformers"}
    assert "typer" in loaded and not heavy & loaded


def test_importing_rerank_loads_next_to_nothing():
    code = "import sys; before = {*sys.modules}; import rerank; print(*{*sys.modules} - before)"
    loaded = {module.split(".")[0] for module in command(code=code).stdout.split()}
    assert "rerank" in loaded and not loaded - {"rerank", *sys.stdlib_module_names}


def test_a_mistake_in_a_real_process_is_one_line_and_no_traceback(here):
    done = command("run", recipe("method = "))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "rerank: mine.toml: Invalid value (at end of document)\n"


def test_a_reader_that_has_gone_is_no_error(here):
    line = f"{sys.executable} -m rerank.cli methods --json | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr and "rror" not in done.stderr
    assert len(done.stdout) == 10


@pytest.mark.slow
def test_a_strategy_of_the_users_own_is_found_in_the_folder_of_the_command(here, small):
    Path("turned.py").write_text(
        "def upside_down(docs, keep: int = 0):\n"
        "    yield from ()\n"
        "    return list(docs[:keep]) + list(reversed(docs[keep:]))\n"
    )
    path = recipe(f'{ORACLE}strategy = "turned:upside_down"\noptions.keep = 2\n')
    plain = recipe('dataset = "small"\nmethod = "first-stage"\n', "plain")
    start = [sys.executable, "-P", "-m", "rerank.cli"]  # -P: as where the script `rerank` starts
    done = subprocess.run([*start, "run", path, plain], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, wrote("mine") + wrote("plain"))
    ours, given = ([line[2] for line in ranked(f)][:DOCS] for f in ("mine", "plain"))
    assert ours == given[:2] + given[:1:-1]
