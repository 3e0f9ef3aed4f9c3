"""A suite says what it is made of; what could change under it, it says too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from shared import collection
from small import beir
from typer.testing import CliRunner

from rerank import files, pipeline
from rerank.cli import app
from rerank.datasets import load_entry
from rerank.errors import InputError, UsageError
from rerank.evaluate import parse
from rerank.recipes import read_recipe
from rerank.recipes.suites import PINNED, Entry, read_suite
from rerank.tasks import load_tasks, measures_of, suite_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHIPPED = files.names("suites")


@pytest.fixture
def suite(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def refusal(suite):
    def read(text: str) -> str:
        path = suite(text)
        with pytest.raises(InputError) as caught:
            read_suite(str(path))
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(str(path), "F")

    return read


@pytest.fixture
def recipe(tmp_path):
    def write(text: str, *changes: str):
        path = tmp_path / "recipe.toml"
        path.write_text(f'method = "first-stage"\n{text}')
        return read_recipe(path, changes)

    return write


def listed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["suites", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_suites_of_the_issue_ship():
    wanted = {"beir", "trec-dl", "bright", "noveleval", "t2ranking", "coir", "loco"}
    assert wanted | {"mteb-reranking", "mteb-retrieval", "nano-beir", "demo"} <= {*SHIPPED}
    assert len(read_suite("beir").datasets) == 13
    assert len(read_suite("bright").datasets) == 12
    assert len(read_suite("loco").datasets) == 12
    assert len(read_suite("cqadupstack").datasets) == 12


@pytest.mark.parametrize("name", SHIPPED)
def test_a_suite_that_ships_names_licences_measures_and_revisions(name):
    found = read_suite(name)
    assert found.about and (found.source or name == "demo")
    for entry in found.datasets:
        assert entry.name and entry.licence
        assert not entry.loose or entry.unpinned
        assert all(parse(measure) for measure in (*measures_of(found, entry), *entry.bm25))
        assert all(0 < value < 1 for value in entry.bm25.values())
        for place in (entry.source, entry.corpus, entry.qrels):
            if place.startswith(("hub:", "github:")) and place not in entry.loose:
                assert PINNED.fullmatch(place.partition(":")[2])


def test_only_the_documents_of_loco_are_not_pinned():
    loose = {(n, place) for n in SHIPPED for e in read_suite(n).datasets for place in e.loose}
    assert loose == {("loco", "hub:hazyresearch/LoCoV1-Documents")}


def test_a_reference_of_bm25_is_for_a_measure_that_the_suite_takes():
    for name in SHIPPED:
        found = read_suite(name)
        for entry in found.datasets:
            assert {str(parse(m)) for m in entry.bm25} <= {*measures_of(found, entry)}, entry.name


def test_entries_are_sources_or_tables_and_take_the_defaults(suite):
    text = 'datasets = ["a", { source = "b", split = "dev" }]\n[defaults]\nsplit = "train"'
    found = read_suite(str(suite(text)))
    assert [(e.source, e.split) for e in found.datasets] == [("a", "train"), ("b", "dev")]


def test_an_entry_with_subsets_is_many(suite):
    text = 'datasets = [{ source = "a", name = "x", subsets = ["de", "en"] }]'
    found = read_suite(str(suite(text))).datasets
    assert [(entry.name, entry.subset) for entry in found] == [("x-de", "de"), ("x-en", "en")]
    assert [e.name for e in read_suite(str(suite(text.replace('name = "x", ', "")))).datasets] == [
        "de",
        "en",
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('source = "a", colour = 1', "F: key 'datasets.0.colour': is not a known key"),
        ('name = "a"', "F: key 'datasets.0.source': is missing"),
        ('source = "a", format = "csv"', "F: key 'datasets.0.format': it should be 'beir'"),
        ('source = "a", relevant = 0', "F: key 'datasets.0.relevant': it should be 1 or more"),
        ('source = "a", bm25 = { "map" = 0.1 }', "F: a: key 'bm25' needs 'bm25_source'"),
        ('source = "a", unpinned = "why"', "F: a: key 'unpinned' says why something is loose"),
    ],
)
def test_what_is_wrong_with_an_entry_is_named(refusal, entry, message):
    assert refusal(f"datasets = [{{ {entry} }}]").startswith(message)


def test_two_datasets_of_one_name_are_refused(refusal):
    text = 'datasets = [{ source = "a", name = "x" }, { source = "b", name = "x" }]'
    assert refusal(text) == "F: two datasets are called 'x'"


@pytest.mark.parametrize(
    "place",
    [
        "hub:mteb/scifact",
        "hub:mteb/scifact@main",
        "hub:mteb/scifact@d56462d0",
        f"hub:mteb/scifact@{COMMIT.upper()}",
        "github:owner/name/folder",
        "github:owner/name@HEAD/folder",
    ],
)
def test_what_may_change_under_a_suite_needs_a_reason(refusal, suite, place):
    assert refusal(f'datasets = ["{place}"]') == (
        f"F: {place} names no revision; add @ and the 40 hexadecimal digits of a commit, "
        'or say why not: unpinned = "..."'
    )
    told = suite(f'datasets = [{{ source = "{place}", unpinned = "a reason" }}]')
    assert read_suite(str(told)).datasets[0].loose == [place]


@pytest.mark.parametrize(
    "place",
    [
        f"hub:mteb/scifact@{COMMIT}",
        f"github:owner/name@{COMMIT}/folder",
        "hub:./copy",
        "irds:beir/scifact/test",
        "../shared/data/dl19",
        "demo",
    ],
)
def test_what_stays_as_it_is_needs_none(suite, place):
    assert read_suite(str(suite(f'datasets = ["{place}"]'))).datasets[0].loose == []


def test_a_part_that_lies_elsewhere_is_held_to_the_same(refusal):
    entry = f'source = "hub:a/b@{COMMIT}", corpus = "hub:a/c"'
    assert refusal(f"datasets = [{{ {entry} }}]").startswith("F: hub:a/c names no revision")


def test_a_part_of_a_suite_is_named_behind_a_colon():
    assert [entry.name for entry in read_suite("beir:scifact,fiqa").datasets] == ["scifact", "fiqa"]
    with pytest.raises(InputError, match=r"beir\.toml: no dataset 'fact' in it; there are: trec-"):
        read_suite("beir:fact")


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


def test_the_list_has_every_suite_with_its_counts():
    rows = {line.split()[0]: line for line in listed().splitlines()}
    assert {*SHIPPED} == rows.keys() - {"suite"}
    assert rows["beir"].split()[1:4] == ["13", "13", "100"]
    assert rows["loco"].split()[1:3] == ["12", "0"]
    assert (
        "map@100-l2" in rows["trec-dl"]
        and "CC BY-SA 3.0" in rows["miracl-reranking"] + (rows["wikipedia-reranking"])
    )
    assert json.loads(listed("--json")).keys() == {*SHIPPED}


def test_a_suite_is_shown_with_references_traps_and_what_is_not_pinned():
    shown = listed("show", "beir")
    assert "| scifact " in shown and "0.6789" in shown and "CC BY-NC 2.0" in shown
    assert "trap, arguana: Each query is a document of the corpus" in shown
    assert "bag of words" in listed("show", "bright")
    assert "not pinned, 2wikimqa" in listed("show", "loco")
    assert json.loads(listed("show", "trec-dl", "--json"))["datasets"][0]["relevant"] == 2


def test_a_suite_of_ones_own_is_shown_too(suite):
    assert "| tiny " in listed("show", str(suite('datasets = [{ source = "a", name = "tiny" }]')))
