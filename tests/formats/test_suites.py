"""A suite says what it is made of; what could change under it, it says too."""

import json

import pytest
from typer.testing import CliRunner

from rerank import files
from rerank.cli import app
from rerank.errors import InputError
from rerank.evaluate import parse
from rerank.recipes.suites import PINNED, read_suite
from rerank.tasks import measures_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHIPPED = files.names("suites")


@pytest.fixture
def refusal(suite):
    def read(text: str) -> str:
        path = suite(text)
        with pytest.raises(InputError) as caught:
            read_suite(str(path))
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(str(path), "F")

    return read


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
