"""A leaderboard's numbers: comparable, complete, and the same whatever the order they come in."""

import random

import pytest
from boards import entries, entry, small_board, values

from rerank.errors import UsageError
from rerank.leaderboard import board, report


def test_runs_stand_best_first_and_are_compared_with_the_first_stage():
    found = small_board()
    assert [e.key for e in found.entries] == ["dear", "good", "beaten", "bm25"]
    assert (found.measure, found.baseline, found.datasets) == ("ndcg@10", "bm25", {"one": 30})
    assert found.comparisons["one"].differences["good"].mean == pytest.approx(0.2, abs=0.03)
    assert found.groups["dear"] != found.groups["bm25"]
    assert found.found.optima["kemeny-two-level"].proven


def test_the_baseline_is_who_is_asked_for_or_the_worst_run():
    assert board("x", entries(), ["ndcg@10"], "good").baseline == "good"
    plain = [entry("a", 0.5), entry("b", 0.2)]
    assert board("x", plain, ["ndcg@10"]).baseline == "b"
    with pytest.raises(UsageError, match="no run 'c' to compare with; there are a, b"):
        board("x", plain, ["ndcg@10"], "c")


def test_a_front_has_the_runs_that_none_is_better_and_cheaper_than():
    fronts = small_board().fronts
    assert fronts["calls"] == fronts["tokens"] == ("bm25", "good", "dear")
    assert fronts["seconds"] == ("dear",)  # all took as long


def test_a_ceiling_beats_nobody_and_a_journals_seconds_count_for_nothing():
    known = entries()
    oracle = entry("oracle", 0.9, calls=1, ceiling=True)
    replayed = entry("again", 0.8, calls=50, cost={**known[0].cost, "calls": 50, "replayed": 9})
    found = board("x", [*known, oracle, replayed], ["ndcg@10"])
    assert found.fronts["calls"] == ("bm25", "again")
    assert "again" not in found.fronts["seconds"] and "oracle" not in found.fronts["calls"]


def test_a_run_that_lacks_a_dataset_is_left_out_and_named_never_scored_0():
    two = ("one", "two")
    found = board("x", [entry("a", 0.5, two), entry("b", 0.4, two), entry("c", 0.9)], ["ndcg@10"])
    assert found.incomplete == {"c": ("two",)} and set(found.means) == {"a", "b"}
    assert found.single["one"]["c"] > found.single["one"]["a"] and "c" not in found.single["two"]
    text = report([found])
    assert "Left out: c; it lacks two under these judgments." in text
    assert [e.key for e in found.entries] == ["a", "b", "c"]


def test_a_run_that_was_scored_by_other_judgments_is_not_compared():
    """A run over the first 5 queries made the whole table an error."""
    short = {"one": values(0.9, queries=5)}
    limited = entry("short", values=short, judged={"one": "b" * 64}, notes=("first 5 queries",))
    found = board("x", [*entries(), limited], ["ndcg@10"])
    assert found.incomplete == {"short": ("one",)} and found.datasets == {"one": 30}
    assert "Left out: short, first 5 queries; it lacks one" in report([found])


def test_means_over_datasets_count_datasets_alike():
    uneven = {"one": values(0.2, queries=10), "two": values(0.8, queries=90)}
    judged = {"one": "a", "two": "b"}
    runs = [entry("a", values=uneven, judged=judged), entry("b", 0.1, values=uneven, judged=judged)]
    found = board("x", runs, ["ndcg@10", "map"])
    single = [found.single[name]["a"] for name in ("one", "two")]
    assert found.means["a"]["ndcg@10"] == pytest.approx(sum(single) / 2)
    assert found.means["a"]["ndcg@10"] == pytest.approx(found.found.means["a"])
    low, high = found.found.intervals["a"]
    assert low < found.means["a"]["ndcg@10"] < high
    assert found.groups == {"a": "a", "b": "a"}


@pytest.mark.slow
def test_groups_over_datasets_do_not_hang_on_the_largest_alone():
    """Two systems that differ on the small dataset only: pooled queries would hide it."""
    large, flat = values(0.5, queries=600), values(0.5, queries=600)
    small = {"ndcg@10": {f"s{i}": 0.9 for i in range(20)}}
    poor = {"ndcg@10": {f"s{i}": 0.1 + i / 1000 for i in range(20)}}
    judged = {"one": "a", "two": "b"}
    runs = [
        entry("good", values={"one": large, "two": small}, judged=judged),
        entry("poor", values={"one": flat, "two": poor}, judged=judged),
    ]
    assert board("x", runs, ["ndcg@10"]).groups == {"good": "a", "poor": "b"}


def test_one_run_or_one_query_is_a_board_without_comparisons():
    alone = board("x", [entry("a")], ["ndcg@10"])
    assert (alone.groups, alone.comparisons, alone.baseline) == ({}, {}, "a")
    single = [entry(n, values={"one": values(w, queries=1)}) for n, w in (("a", 0.4), ("b", 0.3))]
    assert board("x", single, ["ndcg@10"]).comparisons == {}
    assert "baseline" in report([alone])


def test_a_measure_of_which_less_is_better_ranks_nobody():
    wss = {"one": {m: {"q1": 1.0, "q2": 2.0} for m in ("last_rel", "map")}}
    assert board("x", [entry("a", values=wss)], ["last_rel", "map"]).measure == "map"
    with pytest.raises(UsageError, match="needs a measure of which more is better: last_rel"):
        board("x", [entry("a", values=wss)], ["last_rel"])


def test_the_same_runs_are_the_same_bytes_in_any_order():
    shuffled = entries()
    random.Random(1).shuffle(shuffled)
    assert report([board("x", shuffled, ["ndcg@10", "map"])]) == report(
        [board("x", entries(), ["ndcg@10", "map"])]
    )


# ---- the table


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_row_says_what_a_run_is_worth_how_sure_that_is_and_what_it_took():
    head, _, first, *_, last = rows(report([small_board()]))
    assert head == [
        "run", "ndcg@10", "95 % interval", "group", "difference", "by mean", "Borda", "Kemeny",
        "map", "calls", "rounds", "tokens", "not ok", "seconds",
    ]  # fmt: skip
    row = dict(zip(head, first, strict=True))
    assert (row["run"], row["group"], row["by mean"]) == ("dear", "a", "1 (1 to 1)")
    assert row["difference"].endswith("p 0.0003") and row["difference"].startswith("+0.")
    assert (row["calls"], row["tokens"], row["not ok"]) == ("5,000", "451,000", "3")
    assert last[0] == "bm25" and "baseline" in last


def test_runs_of_which_nobody_counted_the_cost_have_no_columns_for_it():
    plain = [entry("a", 0.5, cost=None), entry("b", 0.4, cost=None)]
    head = rows(report([board("x", plain, ["ndcg@10"])]))[0]
    assert "calls" not in head and head[-1] == "Kemeny"


def test_names_cannot_be_anything_else_in_markdown():
    hostile = entry("a|b <img src=x> [x](javascript:y)", 0.5, link="../runs/a b)")
    text = report([board("<script>", [hostile, entry("plain", 0.4)], ["ndcg@10"])])
    assert "<img" not in text.replace("\\<img", "")
    assert "<script>" not in text.replace("\\<script", "")
    assert len({len(row) for row in rows(text.replace("\\|", "/"))}) == 1
    assert "(../runs/a%20b%29)" in text


def test_several_datasets_have_a_table_of_their_own():
    two = ("one", "two")
    text = report([board("x", [entry("a", 0.5, two), entry("b", 0.4, two)], ["ndcg@10"])])
    assert "| run | " in text and "|    one |    two |" in text
    assert "Ranks count datasets alike" in text
