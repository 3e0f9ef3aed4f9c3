"""Fusion against ranx, and what no reference has: weights that saw other queries only."""

import json
import random

import pytest

from rerank.errors import InputError, UsageError
from rerank.pipeline import run
from rerank.pipeline.verify import verify
from rerank.recipes import Recipe
from rerank.recipes.stages import FusionOptions
from rerank.recipes.suites import Entry
from rerank.retrieve.fusion import fitted, fused
from rerank.tasks.first import search

ONE = {"q": {"a": 9.0, "b": 4.0, "c": 1.0}, "only one": {"x": 1.0}}
TWO = {"q": {"c": 0.9, "a": 0.5, "d": 0.1}}


def order(options, runs=(ONE, TWO)):
    return list(fused(runs, FusionOptions(**options))["q"])


def drawn(seed, shared):
    """Three runs of 20 queries; with `shared` every run has the same documents."""
    draw = random.Random(seed)
    docs = [f"d{n}" for n in range(12)]
    lists = [docs if shared else draw.sample(docs, draw.randint(3, 12)) for _ in range(3)]
    return [{f"q{q}": {d: draw.uniform(-3, 9) for d in some} for q in range(20)} for some in lists]


NAMES = {"combsum": "sum", "combmnz": "mnz"}


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["min-max", "max", "sum", "zmuv"])
@pytest.mark.parametrize("method", ["combsum", "combmnz"])
def test_scores_are_fused_as_ranx_fuses_them(method, norm):
    from ranx import Run, fuse

    runs = drawn(3, shared=norm == "zmuv")  # there ranx gives 0, the mean, to what a run lacks
    theirs = fuse([Run(run) for run in runs], norm=norm, method=NAMES[method])
    ours = fused(runs, FusionOptions(method=method, norm=norm))
    for query, scores in ours.items():
        assert scores == pytest.approx(theirs.to_dict()[query])


@pytest.mark.slow
@pytest.mark.parametrize(("method", "name"), [("rrf", "rrf"), ("borda", "bordafuse")])
def test_ranks_are_fused_as_ranx_fuses_them(method, name):
    from ranx import Run, fuse

    runs = drawn(4, shared=False)
    theirs = fuse([Run(run) for run in runs], norm=None, method=name)
    for query, scores in fused(runs, FusionOptions(method=method)).items():
        assert scores == pytest.approx(theirs.to_dict()[query])


def test_rrf_adds_what_the_ranks_give():
    assert fused([ONE, TWO], FusionOptions(k=1))["q"] == {
        "a": 1 / 2 + 1 / 3,
        "c": 1 / 4 + 1 / 2,
        "b": 1 / 3,
        "d": 1 / 4,
    }


def test_a_query_that_one_run_lacks_is_ranked_by_the_others():
    for method in ("rrf", "borda", "combsum", "combmnz"):
        assert list(fused([ONE, TWO], FusionOptions(method=method))["only one"]) == ["x"]
        assert list(fused([TWO, ONE], FusionOptions(method=method))["only one"]) == ["x"]


def test_a_weight_of_nothing_leaves_the_other_run():
    for method in ("rrf", "combsum"):
        assert order({"method": method, "weights": (1.0, 0.0)})[:2] == ["a", "b"]
        assert order({"method": method, "weights": (0.0, 1.0)})[:2] == ["c", "a"]


def test_equal_sums_keep_the_order_of_the_first_run():
    same = {"q": {"b": 2.0, "a": 2.0}}
    for method in ("rrf", "borda", "combsum", "combmnz"):
        assert order({"method": method}, [same, same]) == ["b", "a"]


def test_under_zmuv_a_document_that_a_run_lacks_is_as_good_as_its_worst():
    scores = fused(
        [{"q": {"a": 3.0, "b": 1.0}}, {"q": {"a": 2.0}}],
        FusionOptions(method="combsum", norm="zmuv"),
    )["q"]
    assert scores == {"a": 1.0, "b": -1.0}


def test_runs_without_documents_make_one_without():
    for method in ("rrf", "borda", "combsum", "combmnz"):
        assert fused([{"q": {}}, {"q": {}}], FusionOptions(method=method)) == {"q": {}}


def test_a_number_of_weights_that_is_not_that_of_runs_is_refused():
    with pytest.raises(UsageError, match="3 numbers for 2 runs"):
        fused([ONE, TWO], FusionOptions(weights=(1, 1, 1)))


def test_fitted_weights_are_the_evenest_of_the_best():
    good = {"q": {"a": 2.0, "b": 1.0}}
    bad = {"q": {"b": 2.0, "a": 1.0}}
    options = FusionOptions(method="combsum")

    def first_is_a(run):
        return float(next(iter(run["q"])) == "a")

    assert fitted([good, bad], options, first_is_a) == (0.5, 0.5)
    assert fitted([bad, good], options, first_is_a) == (0.4, 0.6)


@pytest.fixture
def split(tmp_path):
    """A collection whose `train` split trusts the second run, and whose `test` split is unseen."""
    corpus = [{"_id": f"d{n}", "text": f"text {n}"} for n in range(4)]
    queries = [{"_id": f"q{n}", "text": f"query {n}"} for n in range(4)]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "qrels").mkdir()
    for name, asked in (("train", (0, 1)), ("test", (2, 3)), ("leaky", (1, 2))):
        rows = "".join(f"q{query}\td3\t1\n" for query in asked)
        (tmp_path / "qrels" / f"{name}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    for name, ranked in (("wrong", (0, 1, 2, 3)), ("right", (3, 2, 1, 0))):
        rows = [f"q{q} Q0 d{d} 1 {4 - r} x" for q in range(4) for r, d in enumerate(ranked)]
        (tmp_path / f"{name}.trec").write_text("\n".join(rows))
    return tmp_path


def hybrid(folder, **fusion):
    from rerank import datasets

    of = (str(folder / "wrong.trec"), str(folder / "right.trec"))
    recipe = Recipe(
        dataset=str(folder),
        first="hybrid",
        method="first-stage",
        fusion=FusionOptions(of=of, method="combsum", **fusion),
    )
    dataset = datasets.load(str(folder))
    wanted = [dataset.queries[query] for query in dataset.qrels]
    return search("hybrid", recipe, dataset, Entry(source=str(folder)), wanted, 2)


def test_weights_are_fitted_on_the_training_queries_and_recorded(split):
    found = hybrid(split, train="train")
    assert found.record["weights"] == [0.4, 0.6]
    assert {query: list(docs) for query, docs in found.run.items()} == {
        "q2": ["d3", "d2"],
        "q3": ["d3", "d2"],
    }


def test_where_less_is_better_the_weights_that_give_less_are_the_best(split):
    assert hybrid(split, train="train", measure="last_rel").record["weights"] == [0.4, 0.6]


def test_weights_fitted_on_a_query_that_is_ranked_are_refused(split):
    with pytest.raises(InputError, match=r"1 of 2 queries of split leaky are ranked too.*'q2'"):
        hybrid(split, train="leaky")


def test_a_run_says_what_its_first_stage_was(split, monkeypatch):
    monkeypatch.setenv("RERANK_CACHE", str(split / "cache"))
    of = ("bm25", str(split / "right.trec"))
    fusion = FusionOptions(of=of, method="combsum", train="train")
    recipe = Recipe(
        dataset=str(split),
        first="hybrid",
        method="first-stage",
        fusion=fusion,
        measures=("ndcg@10",),
    )
    result = run(recipe, split / "run")
    [part] = result["datasets"].values()
    assert part["retrieval"]["bm25"] == {"documents": 4, "terms": 5}
    assert sum(part["retrieval"]["weights"]) == 1
    [stage] = result["ir_metadata"]["method"]["retrieval"]
    assert stage["method"] == "fusion"
    assert stage["params"]["bm25"] == {"k1": 0.9, "b": 0.4}
    assert stage["params"]["train"] == "train"
    assert verify(split / "run") == []


def test_without_training_all_parts_weigh_the_same(split):
    assert "weights" not in hybrid(split).record


@pytest.mark.parametrize("method", ["combsum", "combmnz"])
def test_scores_below_zero_keep_their_order_under_the_highest_too(method):
    run = {"q": {"best": -1.0, "mid": -2.0, "worst": -4.0}}
    assert order({"method": method, "norm": "max"}, (run, run)) == ["best", "mid", "worst"]


@pytest.mark.parametrize("norm", ["min-max", "max", "sum"])
def test_equal_scores_are_all_as_good_as_the_best_however_many(norm):
    for count in (3, 10, 99):
        run = {"q": {f"d{n}": 0.1 for n in range(count)}}
        scores = fused((run, run), FusionOptions(method="combsum", norm=norm))["q"]
        assert {*scores.values()} == {2.0}
