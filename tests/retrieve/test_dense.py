"""Dense retrieval: indexes against an exact search, a real encoder on a real collection."""

import logging
import sys

import numpy as np
import pytest
from shared import collection

from rerank import datasets
from rerank.engines.models import embedders
from rerank.errors import EngineError, InputError, MissingExtra, UsageError
from rerank.recipes import Recipe
from rerank.recipes.stages import DenseOptions, MuveraOptions
from rerank.records import Doc, Query
from rerank.retrieve.dense import Dense
from rerank.retrieve.indexes import INDEXES, Vectors, best, cut, recall
from rerank.tasks import load_tasks, suite_of

CORPUS = [Doc(f"d{n}", f"{n}") for n in range(600)]


class Drawn:
    """Vectors of unit length, drawn around a few centres from a seed that the text is."""

    width = 64

    def __init__(self, name="drawn", prompts=("", "")):
        self.name, self.prompts, self.asked = name, prompts, []

    def encode(self, texts):
        self.asked += texts
        rows = []
        for text in texts:
            draw = np.random.default_rng(list(text.encode()))
            centre = np.random.default_rng(sum(text.encode()) % 9).normal(size=self.width)
            rows.append(centre + draw.normal(size=self.width))
        return np.array([row / np.linalg.norm(row) for row in rows], np.float32)


def dense(cache, corpus=CORPUS, encoder=None, **options):
    return Dense(corpus, DenseOptions(**options), cache, encoder or Drawn())


def queries(count=40):
    return [Query(f"q{n}", f"query {n}") for n in range(count)]


def exact(encoder, text, dims=64):
    docs = cut(encoder.encode([doc.text for doc in CORPUS]), dims, True)
    [query] = cut(encoder.encode([text]), dims, True)
    return [CORPUS[place].id for place in np.argsort(-(docs @ query), kind="stable")]


@pytest.mark.slow
def test_a_flat_index_finds_the_nearest_documents_of_each_query(tmp_path):
    run = dense(tmp_path).search(queries(), 7)
    for query in queries():
        assert list(run[query.id]) == exact(Drawn(), query.text)[:7]


def test_a_pool_is_ranked_whole_by_the_exact_vectors(tmp_path):
    index = dense(tmp_path, index="binary")
    names = [doc.id for doc in CORPUS]
    asked = queries(2)
    run = index.rank(asked, {query.id: names[::-1] for query in asked})
    for query in asked:
        assert list(run[query.id]) == exact(Drawn(), query.text)
    with pytest.raises(InputError, match="document 'x' is in a pool, and not in the corpus"):
        index.rank(asked[:1], {asked[0].id: ["x"]})


def test_matryoshka_keeps_the_first_dimensions_at_unit_length(tmp_path):
    index = dense(tmp_path, dimensions=16)
    assert index.embedded(queries(3)).shape == (3, 16)
    assert np.linalg.norm(index.embedded(queries(3)), axis=1) == pytest.approx(np.ones(3))
    assert list(index.search(queries(1), 5)["q0"]) == exact(Drawn(), "query 0", 16)[:5]


@pytest.mark.parametrize("kind", ["hnsw", "binary", "ivfpq"])
def test_an_approximate_index_says_and_records_what_it_finds_of_the_exact_best(
    kind, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    index = dense(tmp_path, index=kind)
    run = index.search(queries(), 20)
    assert all(len(docs) == 20 for docs in run.values())
    flat = dense(tmp_path).search(queries(), 20)
    share = np.mean([len(run[q].keys() & flat[q].keys()) / 20 for q in flat])
    assert index.record["recall@20_of_exact"] == pytest.approx(share, abs=1e-4)
    assert f"index {kind}: recall@10" in caplog.text
    assert "on 40 of your queries" in caplog.text
    assert index.record["index"]["kind"] == kind


def test_a_graph_that_looks_everywhere_misses_nothing(tmp_path):
    index = dense(tmp_path, index="hnsw", ef_search=600)
    index.search(queries(), 10)
    assert index.record["recall@10_of_exact"] == 1.0
    numbers = {"kind": "hnsw", "m": 32, "ef_construction": 200, "ef_search": 600}
    assert index.record["index"] == numbers


def test_binary_codes_scored_again_give_exact_scores_at_a_32nd_of_the_memory(tmp_path):
    index = dense(tmp_path, index="binary", rescore=100)
    run, flat = index.search(queries(), 10), dense(tmp_path).search(queries(), 10)
    assert {q: list(docs) for q, docs in run.items()} == {q: list(docs) for q, docs in flat.items()}
    for query in run:
        assert list(run[query].values()) == pytest.approx(list(flat[query].values()))
    assert index.record["bytes"] * 32 == index.record["bytes_exact"]


def test_the_same_corpus_and_seed_give_the_same_run(tmp_path):
    for kind in INDEXES.keys() - {"lucene"}:  # its own tests need its extra
        one, two = (dense(tmp_path, index=kind).search(queries(), 10) for _ in range(2))
        assert one == two, kind


def test_prompts_stand_before_queries_and_documents_and_may_be_the_users(tmp_path):
    encoder = Drawn(prompts=("find: ", "page: "))
    dense(tmp_path, CORPUS[:1], encoder).search(queries(1), 1)
    assert encoder.asked == ["page: 0", "find: query 0"]
    encoder.asked.clear()
    dense(tmp_path, CORPUS[:1], encoder, query_prompt="", doc_prompt="p ").search(queries(1), 1)
    assert encoder.asked == ["p 0", "query 0"]


class Tokens(Drawn):
    """Each letter is a token."""

    def encode_tokens(self, texts):
        self.asked += texts
        return [Drawn.encode(Drawn(), list(text)) for text in texts]


def test_with_muvera_a_text_is_found_by_the_best_of_its_tokens(tmp_path):
    corpus = [Doc("shared", "abcd"), Doc("none", "wxyz"), Doc("one", "awxy")]
    shape = MuveraOptions(bits=3, projected=32, repeats=20)
    index = dense(tmp_path, corpus, Tokens(), muvera=shape)
    run = index.search([Query("q", "abc")], 3)
    assert list(run["q"]) == ["shared", "one", "none"]
    assert index.record["dimensions"] == 20 * 8 * 32
    again = Tokens()
    assert dense(tmp_path, corpus, again, muvera=shape).search([Query("q", "abc")], 3) == run
    assert again.asked == []


def test_muvera_needs_token_vectors_and_whole_ones(tmp_path):
    with pytest.raises(UsageError, match="muvera needs token vectors"):
        dense(tmp_path, muvera=MuveraOptions())
    with pytest.raises(ValueError, match="muvera or dimensions"):
        DenseOptions(muvera=MuveraOptions(), dimensions=8)


def test_a_title_is_read_before_the_text(tmp_path):
    encoder = Drawn()
    dense(tmp_path, [Doc("a", "text", "Title")], encoder)
    assert encoder.asked == ["Title text"]


def test_a_corpus_smaller_than_the_depth_is_returned_whole(tmp_path):
    for kind in ("flat", "hnsw", "binary"):
        run = dense(tmp_path, CORPUS[:3], index=kind).search(queries(2), 10)
        assert [sorted(docs) for docs in run.values()] == [["d0", "d1", "d2"]] * 2


def test_documents_of_the_same_text_keep_the_order_of_the_corpus(tmp_path):
    twins = [Doc(name, "the same") for name in "cab"]
    for kind in ("flat", "binary"):
        assert list(dense(tmp_path, twins, index=kind).search(queries(1), 3)["q0"]) == list("cab")


def test_equal_scores_keep_their_order_at_every_depth():
    scores = np.array([[1, 3, 3, 2, 3, 0]], np.float32)
    for depth in range(1, 8):
        assert best(scores, depth).places[0].tolist() == [1, 2, 4, 3, 0, 5][:depth]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": 65}, "dense.dimensions is 65; all-MiniLM-L6-v2 has 64"),
        ({"index": "ivfpq", "code_bytes": 7}, "7 does not divide 64"),
    ],
)
def test_options_that_do_not_fit_the_model_are_usage_errors(options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        dense(tmp_path, **options)


def test_codes_are_not_learned_from_a_handful_of_vectors(tmp_path):
    with pytest.raises(UsageError, match="256 vectors or more, not 9; use flat"):
        dense(tmp_path, CORPUS[:9], index="ivfpq")


def test_an_empty_corpus_and_a_depth_below_one_are_refused(tmp_path):
    with pytest.raises(InputError, match="the corpus is empty"):
        dense(tmp_path, [])
    with pytest.raises(UsageError, match="depth is 0"):
        dense(tmp_path, CORPUS[:2]).search(queries(1), 0)


def test_a_missing_faiss_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    """It was found when the whole corpus had been encoded."""
    monkeypatch.setitem(sys.modules, "faiss", None)
    dense(tmp_path, CORPUS[:2])
    for index in ("hnsw", "ivfpq", "binary"):
        with pytest.raises(MissingExtra, match=r"faiss is not installed; run: .*\[dense\]'"):
            dense(tmp_path, CORPUS, encoder := Drawn(), index=index)
        assert encoder.asked == []


def test_vectors_that_lucene_cannot_compare_are_refused_before_they_are_made(tmp_path):
    with pytest.raises(UsageError, match="compares vectors by cosine"):
        dense(tmp_path, CORPUS, encoder := Drawn(), index="lucene", similarity="dot")
    assert encoder.asked == []


@pytest.mark.parametrize(
    ("package", "of", "options"),
    [
        ("pyserini", ["dense", "lucene"], {}),
        ("pyserini", ["bm25", "dense"], {"index": "lucene"}),
        ("pyserini", ["bm25", "dense"], {"lucene": "there"}),
        ("faiss", ["bm25", "dense"], {"index": "hnsw"}),
        ("bm25s", ["dense", "bm25"], {}),
        ("transformers", ["bm25", "dense"], {}),
        ("sentence_transformers", ["bm25", "dense"], {"library": "sentence-transformers"}),
    ],
)
def test_what_the_second_first_stage_lacks_is_found_before_the_first_one_works(
    monkeypatch, package, of, options
):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(datasets, "load_entry", pytest.fail)
    keys = {"fusion": {"of": of}, "dense": options, "method": "first-stage"}
    recipe = Recipe(dataset="small", first="hybrid", **keys)
    with pytest.raises(MissingExtra, match=f"{package} is not installed; run: "):
        next(load_tasks(recipe, suite_of(recipe)))


def test_recall_counts_for_each_query_what_was_found_of_the_exact_best():
    rows = np.zeros((4, 2), [("vector", "<f4", (2,))])["vector"]
    assert Vectors(rows, np.arange(4), 2, True).keep == 2
    found = best(np.array([[3.0, 2, 1, 0], [0, 1, 2, 3]]), 2)
    nearest = best(np.array([[3.0, 0, 1, 2], [0, 1, 2, 3]]), 2)
    assert recall(found, nearest) == 0.75


@pytest.mark.slow
def test_minilm_makes_the_vectors_that_sentence_transformers_makes(tmp_path):
    dataset = datasets.load(str(collection("scifact")))
    corpus = list(dataset.corpus.values())[:60]
    asked = [dataset.queries[query] for query in list(dataset.qrels)[:20]]
    own = Dense(corpus, DenseOptions(), tmp_path).search(asked, 60)
    options = DenseOptions(library="sentence-transformers")
    theirs = Dense(corpus, options, tmp_path).search(asked, 60)
    for query in own:
        assert own[query] == pytest.approx(theirs[query], abs=1e-5)


@pytest.mark.slow
def test_sentence_transformers_and_a_device_that_is_none_end_in_one_line():
    """It was torch's traceback."""
    said = r"^sentence-transformers cannot load 'all-MiniLM-L6-v2': .*device.*gpu$"
    with pytest.raises(EngineError, match=said):
        embedders.EMBEDDERS["sentence-transformers"]("all-MiniLM-L6-v2", device="gpu")
