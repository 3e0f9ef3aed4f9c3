"""A suite is scored with the measures that it takes, and has the figures of its references."""

import subprocess
import sys

import pytest
from shared import collection
from small import beir

from rerank import pipeline
from rerank.datasets import load_entry
from rerank.errors import InputError, UsageError
from rerank.recipes import read_recipe
from rerank.recipes.suites import Entry, read_suite
from rerank.tasks import load_tasks, measures_of, suite_of


@pytest.fixture
def recipe(tmp_path):
    def write(text: str, *changes: str):
        path = tmp_path / "recipe.toml"
        path.write_text(f'method = "first-stage"\n{text}')
        return read_recipe(path, changes)

    return write


def test_measures_without_grades_count_from_the_level_of_the_dataset(recipe):
    found = suite_of(recipe('suite = "trec-dl:dl19"'))
    assert measures_of(found, found.datasets[0]) == (
        *("ndcg@10", "map@100-l2", "recall@100-l2", "mrr@10-l2"),
    )
    own = suite_of(recipe('suite = "trec-dl:dl19"\nmeasures = ["map", "P(rel=3)@5", "judged@10"]'))
    assert measures_of(own, own.datasets[0]) == ("map-l2", "precision@5-l3", "judged@10")


def test_the_level_reaches_the_scores(tmp_path, suite, recipe):
    beir(tmp_path / "data")
    entry = f'source = "{tmp_path / "data"}", name = "tiny"'
    one = suite(f'measures = ["map"]\ndatasets = [{{ {entry} }}]')
    result = pipeline.run(recipe(f'suite = "{one}"'), tmp_path / "one")
    two = suite(f'measures = ["map"]\ndatasets = [{{ {entry}, relevant = 2 }}]')
    again = pipeline.run(recipe(f'suite = "{two}"'), tmp_path / "two")
    assert [*result["mean"]] == ["map"] and [*again["mean"]] == ["map-l2"]
    assert result["mean"]["map"] > again["mean"]["map-l2"]


def test_datasets_of_other_measures_have_a_mean_of_what_they_share(tmp_path, suite, recipe):
    beir(tmp_path / "data")
    where = f'source = "{tmp_path / "data"}"'
    path = suite(
        f'measures = ["map", "ndcg@10"]\ndatasets = [{{ {where}, name = "a" }}, '
        f'{{ {where}, name = "b", relevant = 2 }}, '
        f'{{ {where}, name = "c", measures = ["ndcg@10", "mrr@5"] }}]'
    )
    result = pipeline.run(recipe(f'suite = "{path}"'), tmp_path / "run")
    assert [*result["mean"]] == ["ndcg@10"]
    assert [*result["datasets"]["c"]["mean"]] == ["ndcg@10", "mrr@5"]
    assert result["datasets"]["b"]["measures"] == ["map-l2", "ndcg@10"]


def test_a_measure_that_a_dataset_cannot_have_is_found_before_anything_loads(suite, recipe):
    path = suite('datasets = [{ source = "nowhere", measures = ["ndgc@10"] }]')
    with pytest.raises(UsageError, match=r"did you mean ndcg@10\?"):
        pipeline.check(recipe(f'suite = "{path}"'))


def test_a_collection_of_another_size_is_another_collection(tmp_path):
    beir(tmp_path / "data")
    entry = Entry(source=str(tmp_path / "data"), name="tiny", documents=12, queries=4)
    assert load_entry(entry).name == "tiny"
    with pytest.raises(InputError, match="tiny: 12 documents where the suite says 13; it is not"):
        load_entry(entry.model_copy(update={"documents": 13}))
    with pytest.raises(InputError, match="tiny: 4 queries where the suite says 5,000"):
        load_entry(entry.model_copy(update={"queries": 5000}))


def test_the_first_stage_of_a_dataset_goes_by_its_name(tmp_path, suite, recipe):
    beir(tmp_path / "data")
    (tmp_path / "tiny.trec").write_text("q0 Q0 d3 1 9 x\nq0 Q0 d1 2 8 x\n")
    path = suite(f'datasets = [{{ source = "{tmp_path / "data"}", name = "tiny" }}]')
    made = recipe(f'suite = "{path}"\nfirst = "{tmp_path}/{{dataset}}.trec"')
    (task,) = load_tasks(made, suite_of(made))
    assert [[doc.id for doc in docs] for docs in task.candidates.values()] == [["d3", "d1"]]


@pytest.mark.slow
def test_a_suite_of_local_folders_reaches_the_figures_of_bm25(tmp_path, suite, recipe):
    """Anserini's on SciFact; on NovelEval's pools those of the copy's own check."""
    text = f"""
measures = ["ndcg@10", "recall@100"]
[[datasets]]
name = "scifact"
source = "{collection("scifact")}"
documents = 5183
queries = 300
bm25 = {{ "nDCG@10" = 0.6789, "R@100" = 0.9253 }}
bm25_source = "Anserini, flat"
[[datasets]]
name = "noveleval"
source = "{collection("noveleval")}"
judged_only = true
bm25 = {{ "ndcg@10" = 0.7073, "recall@100" = 1.0 }}
bm25_source = "SOURCE.md of the copy, with bm25s"
"""
    result = pipeline.run(recipe(f'suite = "{suite(text)}"'), tmp_path / "run")
    for name, close in (("scifact", 0.0001), ("noveleval", 0.005)):
        found = result["datasets"][name]
        assert found["first_stage"] == pytest.approx(found["bm25_reference"], abs=close)
        assert found["source"] == str(collection(name))
    again = subprocess.run(
        [sys.executable, "-m", "rerank.cli", "verify", str(tmp_path / "run")],
        capture_output=True,
        text=True,
    )
    assert (again.returncode, again.stdout.rpartition(": ")[2]) == (0, "verified\n")


@pytest.mark.slow
def test_bm25_on_dl19_has_its_published_figures_with_relevance_from_grade_2_on(
    tmp_path, suite, recipe
):
    data = collection("dl19")
    entry = f'source = "{data}", name = "dl19", queries = 43, relevant = 2'
    path = suite(f'measures = ["ndcg@10", "map@100", "recall@100"]\ndatasets = [{{ {entry} }}]')
    made = recipe(f'suite = "{path}"\nfirst = "{data}/runs/bm25.trec.gz"')
    assert pipeline.run(made, tmp_path / "run")["first_stage"] == pytest.approx(
        {"ndcg@10": 0.5058, "map@100-l2": 0.2476, "recall@100-l2": 0.4910}, abs=0.00005
    )
    known = read_suite("trec-dl:dl19").datasets[0].bm25
    assert known == {"ndcg@10": 0.5058, "map@100-l2": 0.2476, "recall@100-l2": 0.4910}


def test_a_reference_stands_beside_bm25_and_beside_no_other_first_stage(tmp_path, suite, recipe):
    beir(tmp_path / "data")
    (tmp_path / "first.trec").write_text("q0 Q0 d3 1 9 x\n")
    entry = f'source = "{tmp_path / "data"}", bm25 = {{ "ndcg@10" = 0.5 }}, bm25_source = "me"'
    path = suite(f"datasets = [{{ {entry} }}]")
    made = recipe(f'suite = "{path}"')
    assert next(load_tasks(made, suite_of(made))).reference == {"ndcg@10": 0.5}
    made = recipe(f'suite = "{path}"\nfirst = "{tmp_path}/first.trec"')
    assert next(load_tasks(made, suite_of(made))).reference == {}
