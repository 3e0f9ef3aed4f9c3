"""The demo collection that ships is whole: every judgment points at something that is there."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from rerank import pipeline, publishing, runs
from rerank.files import shipped
from rerank.pipeline.verify import verify
from rerank.recipes import read_recipe

ROOT = Path(__file__).resolve().parents[2]
DEMO = shipped("demo")


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DEMO / name).read_text("utf-8").splitlines()]


def judgments() -> dict[str, dict[str, int]]:
    header, *rows = (DEMO / "qrels/test.tsv").read_text("utf-8").splitlines()
    assert header == "query-id\tcorpus-id\tscore"
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        query, doc, grade = row.split("\t")
        assert doc not in qrels[query], f"{query} judges {doc} twice"
        qrels[query][doc] = int(grade)
    return qrels


def test_the_corpus_holds_at_least_250_passages_on_at_least_ten_subjects() -> None:
    ids = [doc["_id"] for doc in lines("corpus.jsonl")]
    assert len(ids) == len(set(ids)) >= 250
    assert len({name.rsplit("-", 1)[0] for name in ids}) >= 10


def test_no_two_passages_share_their_text_and_none_is_empty() -> None:
    texts = [doc["text"].strip() for doc in lines("corpus.jsonl")]
    assert all(texts)
    assert len(set(texts)) == len(texts)


def test_there_are_at_least_fifty_queries_and_all_are_judged() -> None:
    ids = [query["_id"] for query in lines("queries.jsonl")]
    assert len(ids) == len(set(ids)) >= 50
    assert set(ids) == set(judgments())


def test_every_query_has_a_full_answer_and_an_explicit_miss() -> None:
    for query, grades in judgments().items():
        assert 3 in grades.values(), query
        assert 0 in grades.values(), query
        assert set(grades.values()) <= {0, 1, 2, 3}, query


def test_every_judged_passage_is_in_the_corpus() -> None:
    ids = {doc["_id"] for doc in lines("corpus.jsonl")}
    judged = {doc for grades in judgments().values() for doc in grades}
    assert judged <= ids, judged - ids


@pytest.mark.parametrize("name", ["bm25", "decoder", "minilm", "boxed", "oracle"])
def test_the_demos_runs_that_ship_are_what_their_files_and_the_demo_say(name: str) -> None:
    assert verify(ROOT / "runs" / "demo" / name) == []


def test_the_leaderboard_that_ships_is_what_the_runs_that_ship_say() -> None:
    file = ROOT / "eval" / "LEADERBOARD.md"
    found = publishing.from_folders(ROOT / "runs", file, with_page=False)
    assert found.table == file.read_text("utf-8"), "run: rerank leaderboard"


def test_the_ceiling_that_ships_costs_what_it_costs_today(tmp_path: Path) -> None:
    """It stood as it had been before the heap's sifts overlapped."""
    shipped_run = runs.read_result(ROOT / "runs" / "demo" / "oracle")
    today = pipeline.run(read_recipe(ROOT / "runs" / "demo" / "oracle" / "recipe.toml"), tmp_path)
    for key in ("calls", "slots", "questions", "rounds", "answers"):
        assert today["cost"][key] == shipped_run["cost"][key], "run: rerank run runs/demo/oracle"
    row = f"| {today['cost']['calls']:,} |  {today['cost']['rounds']:.2f} |"
    assert row in (ROOT / "README.md").read_text("utf-8")
