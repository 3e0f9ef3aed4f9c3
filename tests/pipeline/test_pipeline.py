"""From a recipe to a run folder: bytes that repeat, candidates as they were given."""

import gzip
import json
from pathlib import Path

import pytest
from running import ORACLE, ranked, run, without_times
from small import QUERIES, beir

from rerank.errors import InputError, UsageError
from rerank.leaderboard.folders import Row
from rerank.runs import read_scores

pytestmark = pytest.mark.usefixtures("here")


# ---- what a run says


def test_result_json_is_what_is_returned_and_has_what_a_leaderboard_needs(small):
    result = run(f"{ORACLE}depth = 9\n")
    assert result == json.loads(Path("run/result.json").read_text())
    assert Row.model_validate(result).name == result["name"]
    assert (result["name"], result["suite"], result["model"]) == ("run", "small", None)
    assert (result["method"], result["judge"]) == ("setwise-heapsort", "oracle")
    assert (result["first"], result["depth"], result["limit"]) == ("bm25", 9, None)
    part = result["datasets"]["small"]
    assert part["mean"] == result["mean"] and part["first_stage"] == result["first_stage"]
    values = read_scores(Path("run"))["small"]["ndcg@10"]
    assert list(values) == ["q0", "q1", "q2", "q3"]
    mean = sum(values.values()) / QUERIES
    assert result["mean"]["ndcg@10"] == pytest.approx(mean, abs=1e-5)
    assert result["cost"]["queries"] == QUERIES and result["cost"]["seconds"] > 0
    assert result["versions"]["rerank-pipeline"] and result["versions"]["python"]


def test_two_runs_of_a_recipe_differ_in_their_times_only(small):
    noisy = f"{ORACLE}oracle = {{ noise = 1.0, bias = 0.5, seed = 7 }}\n"
    first, second = run(noisy, "a/run"), run(noisy, "b/run")
    assert without_times(first) == without_times(second)
    assert Path("a/run/run.trec.gz").read_bytes() == Path("b/run/run.trec.gz").read_bytes()
    other = run(noisy.replace("seed = 7", "seed = 8"), "c/run")
    assert other["recipe_sha256"] != first["recipe_sha256"] and ranked("c/run") != ranked("a/run")


def test_the_first_stage_is_its_own_order_and_costs_nothing(small):
    result = run('dataset = "small"\nmethod = "first-stage"\n')
    assert result["mean"] == result["first_stage"] and result["cost"]["calls"] == 0
    assert (result["model"], result["judge"], result["prompt"]) == (None, None, None)
    assert run(ORACLE, "other")["first_stage"] == result["mean"]


# ---- what a run ranks


def test_a_suite_of_several_datasets_has_a_run_file_for_each_and_the_mean_of_their_means(here):
    beir(here / "small"), beir(here / "large", queries=6, docs=20)
    Path("both.toml").write_text('datasets = ["small", "large"]\nmeasures = ["ndcg@10", "p@1"]\n')
    seen = []
    result = run(
        'suite = "./both.toml"\nmethod = "listwise"\njudge = "oracle"\noracle.noise = 1\n',
        progress=lambda *step: seen.append(step),
    )
    names = sorted(file.name for file in Path("run").iterdir())
    assert names == ["result.json", "run.large.trec.gz", "run.small.trec.gz", "scores.parquet"]
    assert list(read_scores(Path("run"))) == ["small", "large"]
    assert len(ranked("run", "run.large.trec.gz")) == 6
    for part in ("mean", "first_stage"):
        means = [result["datasets"][name][part]["precision@1"] for name in ("small", "large")]
        assert result[part]["precision@1"] == pytest.approx(sum(means) / 2, abs=2e-6)
    assert result["cost"]["queries"] == QUERIES + 6
    assert seen[:4] == [("small", n, 4) for n in range(1, 5)]
    assert seen[4:] == [("large", n, 6) for n in range(1, 7)]


def test_datasets_of_one_name_are_refused_before_anything_is_written(here):
    """The second one took the place of the first."""
    beir(here / "a" / "same"), beir(here / "b" / "same")
    Path("both.toml").write_text('datasets = ["a/same", "b/same"]\n')
    with pytest.raises(InputError, match="names that tell them apart: same, same"):
        run('suite = "./both.toml"\nmethod = "listwise"\njudge = "oracle"\n')
    assert not Path("run").exists()


def test_a_first_stage_of_ones_own_is_taken_as_it_ranks(small):
    lines = [f"q{q} Q0 d{d} 1 {d}.5 t\n" for q in (2, 0) for d in range(6)]
    Path("first.small.trec").write_text("".join(lines))
    plain = 'dataset = "small"\nmethod = "first-stage"\ndepth = 4\n'
    result = run(f'{plain}first = "first.{{dataset}}.trec"\n')
    assert ranked("run") == {"q0": ["d5", "d4", "d3", "d2"], "q2": ["d5", "d4", "d3", "d2"]}
    assert result["datasets"]["small"]["queries_without_candidates"] == ["q1", "q3"]
    assert read_scores(Path("run"))["small"]["ndcg@10"]["q1"] == 0.0


LISTED = ", ".join(f'{{"docid": "x{i}", "score": {9 - i}, "doc": "text {i}"}}' for i in range(5))
CANDIDATES = (
    f'{{"query": {{"qid": "a", "text": "one"}}, "candidates": [{LISTED}]}}\n'
    '{"query": {"qid": "b", "text": "two"}, "candidates": []}\n'
)


def test_candidates_without_judgments_are_ranked_and_not_scored(here):
    Path("mine.jsonl").write_text(CANDIDATES)
    result = run('first = "mine.jsonl"\nmethod = "first-stage"\ndepth = 3\n')
    assert ranked("run") == {"a": ["x0", "x1", "x2"]}
    assert (result["mean"], result["first_stage"], result["suite"]) == ({}, {}, "mine.jsonl")
    assert "mean" not in result["datasets"]["mine"] and result["scores"] is None
    assert not Path("run/scores.parquet").exists()


def test_candidates_with_a_dataset_are_scored_and_strangers_left_out(small):
    Path("mine.jsonl").write_text(CANDIDATES.replace('"a"', '"q1"').replace('"b"', '"q99"'))
    result = run(f'{ORACLE}first = "mine.jsonl"\n')
    assert list(ranked("run")) == ["q1"] and result["cost"]["queries"] == 1
    Path("mine.jsonl").write_text(CANDIDATES)
    with pytest.raises(InputError, match=r"mine\.jsonl: none of its queries is judged in small"):
        run(f'{ORACLE}first = "mine.jsonl"\n')


def test_a_limit_takes_the_first_queries_and_scores_them_alone(small):
    whole, first = run(ORACLE), run(f"{ORACLE}limit = 2\n", "first")
    values = read_scores(Path("run"))["small"]["recall@100"]
    assert list(ranked("first")) == ["q0", "q1"]
    assert read_scores(Path("first"))["small"]["recall@100"] == {
        query: values[query] for query in ("q0", "q1")
    }
    assert (whole["limit"], first["limit"]) == (None, 2)


def test_a_folder_with_a_space_in_its_name_is_a_tag_without_one(small):
    """The run was ranked to its end and then could not be written."""
    assert run(ORACLE, "my runs/the best")["name"] == "the best"
    line = (
        gzip.decompress(Path("my runs/the best/run.trec.gz").read_bytes()).decode().split("\n")[0]
    )
    assert line.endswith(" the-best")


def test_a_measure_that_does_not_exist_is_found_before_a_model_loads(small, monkeypatch):
    """It was found when all was ranked."""
    monkeypatch.setattr(
        "rerank.pipeline.running.open_engine", lambda *_: pytest.fail("a model was opened")
    )
    with pytest.raises(UsageError, match="no measure called 'ndgc'"):
        run('dataset = "small"\nmethod = "scorer"\nmodel = "m"\nmeasures = ["ndgc"]\n')
