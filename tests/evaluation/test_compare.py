"""Comparisons: exact where that can be counted, modest where nothing differs, always the same."""

import json
import random
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from shared import collection
from typer.testing import CliRunner

from rerank.cli import app
from rerank.errors import InputError, UsageError
from rerank.evaluate import significance
from rerank.evaluate.compare import compare
from rerank.evaluate.solvers import student
from rerank.scoring import score_files


def normal(seed: int, queries: int, runs: int, shift=0.0, spread=0.2):
    values = np.random.default_rng(seed).normal(0.5, spread, (queries, runs))
    values[:, 0] += shift
    return values


def by_query(values):
    return {
        f"run{column}": {f"q{row}": float(value) for row, value in enumerate(values[:, column])}
        for column in range(values.shape[1])
    }


# ---- what chance can do


def test_sign_flips_approach_the_share_of_all_signs_that_give_so_large_a_mean():
    differences = normal(1, 10, 3, spread=0.3) - [0.6, 0.5, 0.3]
    signs = np.array(list(product([-1, 1], repeat=10)))
    exact = (abs(signs @ differences) >= abs(differences.sum(axis=0)) - 1e-12).mean(axis=0)
    found = significance.sign_flips(differences, seed=0, samples=20_000)
    assert found == pytest.approx(exact, abs=0.012)
    assert 0 < exact.min() < 0.2 < exact.max()


def test_no_difference_has_p_one_and_no_p_is_zero():
    differences = np.array([[0.0, 1.0], [0.0, 1.0]] * 20)
    assert significance.sign_flips(differences, 0, 999).tolist() == [1.0, 0.001]


def test_of_two_runs_tukey_says_what_sign_flips_say():
    values = normal(5, 40, 2)
    tukey = significance.tukey(values, seed=0)
    flips = significance.sign_flips(values[:, [0]] - values[:, [1]], seed=0)
    assert tukey[0, 1] == pytest.approx(flips[0], abs=0.02) and 0.01 < flips[0] < 0.5
    assert tukey[0, 1] == tukey[1, 0] and tukey[0, 0] == 1.0


def test_among_equal_runs_tukey_finds_a_difference_in_one_table_of_twenty():
    found = [significance.tukey(normal(s, 30, 6), s, 400).min() < 0.05 for s in range(300)]
    assert 0.02 < np.mean(found) < 0.09


def test_intervals_are_students_where_values_are_normal():
    values = normal(2, 200, 2)
    low, high = significance.intervals(values, seed=0)
    half = student(0.975, 199) * values.std(axis=0, ddof=1) / 200**0.5
    assert low == pytest.approx(values.mean(axis=0) - half, abs=0.002)
    assert high == pytest.approx(values.mean(axis=0) + half, abs=0.002)


def test_bootstrap_samples_draw_as_many_queries_as_there_are_each_as_often():
    weights = np.concatenate(list(significance.resampled(7, 3, 100_000)))
    assert weights.shape == (100_000, 7) and weights.sum(axis=1) == pytest.approx(1)
    assert weights.mean(axis=0) == pytest.approx(1 / 7, abs=2e-3)
    parts = list(significance.resampled(7, 3, 100_000, widest=100))
    assert [len(part) for part in parts] == [20_000] * 5


def test_holm_multiplies_the_smallest_most_and_keeps_the_order():
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert significance.holm([0.9, 0.8]) == [1.0, 1.0] and significance.holm([0.2]) == [0.2]


@pytest.mark.parametrize(
    ("different", "letters"),
    [
        ([], ["a", "a", "a", "a"]),
        ([(0, 3)], ["a", "ab", "ab", "b"]),
        ([(0, 2), (0, 3), (1, 3)], ["a", "ab", "bc", "c"]),
        ([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)], ["a", "b", "c", "d"]),
        ([(0, 2), (1, 2), (0, 3), (1, 3)], ["a", "a", "b", "b"]),
    ],
)
def test_two_runs_share_a_letter_unless_they_differ(different, letters):
    p = np.ones((4, 4))
    for i, j in different:
        p[i, j] = p[j, i] = 0.01
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):  # of the columns, whatever the means
        means = np.array([0.9, 0.8, 0.7, 0.6])[order]
        assert significance.groups(means, p[np.ix_(order, order)]) == [letters[i] for i in order]


def test_there_are_letters_for_any_number_of_groups():
    found = significance.groups(-np.arange(60.0), np.eye(60))
    assert found[:2] == ["a", "b"] and found[26] == "a2" and len(set(found)) == 60


# ---- the smallest difference that can be seen


@pytest.mark.parametrize(
    ("queries", "spread", "expected"),
    [(21, 0.2, 0.130), (43, 0.1, 0.044), (43, 0.2, 0.088), (43, 0.3, 0.132), (54, 0.2, 0.078),
     (97, 0.2, 0.058), (300, 0.2, 0.032), (648, 0.3, 0.033)],
)  # fmt: skip
def test_the_detectable_difference_is_that_of_an_exact_table(queries, spread, expected):
    assert significance.detectable(spread, queries) == pytest.approx(expected, rel=0.02)


def test_four_of_five_tests_find_the_detectable_difference():
    size = significance.detectable(0.2, 43)
    drawn = np.random.default_rng(0).normal(size, 0.2, (4000, 43))
    t = drawn.mean(axis=1) / (drawn.std(axis=1, ddof=1) / 43**0.5)
    assert (abs(t) > student(0.975, 42)).mean() == pytest.approx(0.8, abs=0.02)


# ---- comparisons


def test_a_difference_says_how_much_how_surely_and_where():
    runs = {
        "old": {"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.5},
        "new": {"a": 0.6, "b": 0.5, "c": 0.9, "d": 0.4},
    }
    found = compare(runs, "old")
    difference = found.differences["new"]
    assert found.means == pytest.approx({"old": 0.5, "new": 0.6}) and found.queries == 4
    assert difference.mean == pytest.approx(0.1)
    assert (difference.wins, difference.ties, difference.losses) == (2, 1, 1)
    assert difference.effect == pytest.approx(0.1 / np.std([0.1, 0, 0.4, -0.1], ddof=1))
    assert [moved.query for moved in difference.moved] == ["c", "a", "d"]
    assert difference.moved[0] == ("c", 0.5, 0.9)
    assert -0.1 <= difference.low < 0.1 < difference.high <= 0.4
    assert difference.p == difference.p_holm > 0.05
    assert found.pairs.keys() == {("new", "old")} and set(found.groups.values()) == {"a"}


def test_only_the_five_queries_that_moved_most_are_named():
    runs = by_query(normal(4, 30, 2))
    moved = compare(runs, "run0", samples=100).differences["run1"].moved
    sizes = [abs(m.run - m.baseline) for m in moved]
    assert len(moved) == 5 and sizes == sorted(sizes, reverse=True)
    assert sizes[-1] >= sorted(abs(runs["run0"][q] - runs["run1"][q]) for q in runs["run0"])[-5]


def test_a_comparison_is_the_same_to_the_digit_each_time_and_in_any_order():
    runs = by_query(normal(3, 40, 6, shift=0.05))
    expected = compare(runs, "run0", samples=2000)
    dice = random.Random(0)
    for _ in range(3):
        mixed = {
            run: dict(dice.sample(list(runs[run].items()), 40)) for run in dice.sample([*runs], 6)
        }
        assert compare(mixed, "run0", samples=2000) == expected
    other = compare(runs, "run0", seed=1, samples=2000)
    assert other.pairs != expected.pairs and other.means == expected.means


def test_a_run_compared_with_its_copy_differs_in_nothing():
    runs = {"one": {"a": 0.1, "b": 0.9}, "two": {"a": 0.1, "b": 0.9}}
    found = compare(runs, "one", samples=100)
    assert found.differences["two"] == (
        type(found.differences["two"])(0.0, 0.0, 0.0, None, 1.0, 1.0, 0, 2, 0, ())
    )
    assert (found.detectable, found.pairs) == (0.0, {("one", "two"): 1.0})


@pytest.mark.parametrize(
    ("runs", "error", "says"),
    [
        ({"old": {"a": 1.0, "b": 1.0}}, UsageError, "needs a baseline and another run"),
        ({"x": {"a": 1.0}, "y": {"a": 1.0}}, UsageError, "needs a baseline and another run"),
        ({"old": {"a": 1.0}, "x": {"a": 1.0}}, InputError, "needs two queries"),
        (
            {"old": {"a": 1.0, "b": 1.0}, "x": {"a": 1.0, "c": 1.0}},
            InputError,
            "only one of old and x has a value for query b",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(runs, error, says):
    with pytest.raises(error, match=says):
        compare(runs, "old")


# ---- dl19


@pytest.fixture(scope="module")
def dl19():
    folder = collection("dl19")
    paths = sorted((folder / "runs").glob("*.trec.gz"))
    scored = score_files(paths, folder / "qrels" / "test.tsv", ["ndcg@10"])
    runs = {p.name.removesuffix(".trec.gz"): s.per_query["ndcg@10"] for p, s, _ in scored}
    assert len(runs) == 25
    return runs


@pytest.mark.slow
def test_of_25_runs_of_dl19_five_repeats_are_one_group_and_gpt4o_is_better_than_bm25(dl19):
    found = compare(dl19, "bm25")
    repeats = {found.groups[f"bm25.gpt-3.5-turbo.rep{number}"] for number in range(1, 6)}
    assert len(repeats) == 1
    gpt4o = found.differences["pt_bm25.gpt-4o"]
    assert gpt4o.p_holm < 0.01 and gpt4o.low > 0.1
    assert found.pairs["bm25", "pt_bm25.gpt-4o"] < 0.01
    assert not set(found.groups["bm25"]) & set(found.groups["pt_bm25.gpt-4o"])
    assert set(found.groups["bm25"]) & set(found.groups["bm25_rm3"])
    assert found.queries == 43 and found.detectable == pytest.approx(0.088, rel=0.1)


# ---- the command


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two runs of eight queries; the second puts the good document first more often."""
    monkeypatch.chdir(tmp_path)
    Path("qrels.tsv").write_text("".join(f"q{n}\tgood\t1\n" for n in range(8)))
    for name, hits in (("old", 2), ("new", 7)):
        Path(name).write_text(
            "".join(
                f"q{n} Q0 {doc} {rank} {-rank} t\n"
                for n in range(8)
                for rank, doc in enumerate(["good", "bad"][:: 1 if n < hits else -1], 1)
            )
        )
    return ["--qrels", "qrels.tsv", "--baseline", "old"]


def rerank(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def test_compare_prints_a_row_for_each_run_best_first_and_what_can_be_seen(files):
    done = rerank("compare", "new", *files, "-m", "mrr@10")
    rows = [line.strip("| ").split("|") for line in done.stdout.splitlines() if "|" in line]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert cells[0][:4] == ["run", "mrr@10", "difference", "95 % interval"]
    assert cells[2][:3] == ["new", "0.9375", "+0.3125"] and cells[2][7:10] == ["5", "3", "0"]
    assert cells[3][:4] == ["old", "0.6250", "baseline", "-"]
    assert cells[6] == ["new", "q2 +0.500, q3 +0.500, q4 +0.500, q5 +0.500, q6 +0.500"]
    assert "8 queries; 10,000 samples, seed 0" in done.stdout
    assert "Minimum detectable difference: 0." in done.stdout


def test_compare_prints_json_of_each_measure_and_the_same_each_time(files):
    arguments = ["compare", "new", "old", *files, "-m", "RR@10", "-m", "P@1", "--json"]
    first, second = rerank(*arguments).stdout, rerank(*arguments).stdout
    found = json.loads(first)
    assert first == second and list(found) == ["mrr@10", "precision@1"]
    assert found["precision@1"]["differences"]["new"]["wins"] == 5
    assert found["precision@1"]["differences"]["new"]["moved"][0] == {
        "query": "q2", "baseline": 0.0, "run": 1.0,
    }  # fmt: skip
    assert found["mrr@10"]["pairs"][0]["runs"] == ["new", "old"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["old"], "needs a baseline and another run"),
        (["new", "-m", "last_rel"], "last_rel: less is better there"),
        (["new", "-m", "ndgc@10"], "did you mean ndcg@10"),
        (["none"], "none: no such file"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_explained(files, arguments, says):
    with pytest.raises((UsageError, InputError), match=says):
        rerank("compare", *arguments, *files)
