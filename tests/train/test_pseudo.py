"""Training data without labels: what is asked for is what is left, diverse, filtered, the same."""

import json

import pytest
from typer.testing import CliRunner

from rerank.cli import app
from rerank.datasets import load, read_candidates
from rerank.records import Doc, Query
from rerank.train.clusters import clusters, diverse
from rerank.train.cuts import cut, keywords, rarity
from rerank.train.data import examples
from rerank.train.pseudo import _judged, _spread, read_pseudo
from rerank.train.recipes import DataOptions

LONG = Doc(
    "d",
    "Dust scatters red light over the desert at dusk. The sea looks blue because it mirrors the sky"
    " by day. Air scatters blue light the most of all the colours that there are.",
    "Why skies differ",
)
SHORT = Doc("s", "Perlis, A. J.", "A note")


def test_a_title_asks_for_its_text_without_the_title() -> None:
    made = cut(LONG, "title", 20, "seed")
    assert (made.kind, made.query, made.passage.title) == ("title", LONG.title, "")
    assert 12 <= len(made.passage.text.split()) <= 20


def test_a_sentence_asks_for_the_rest_in_which_it_is_not() -> None:
    for seed in range(8):
        made = cut(LONG, "sentence", 40, str(seed))
        assert made.kind == "sentence" and made.query in LONG.text
        assert made.query not in made.passage.text


def test_what_has_no_title_or_too_few_words_is_asked_for_otherwise_or_not_at_all() -> None:
    assert cut(Doc("d", LONG.text), "title", 40, "seed").kind == "keywords"
    assert cut(SHORT, "sentence", 40, "seed").kind is None


def test_keywords_are_words_of_the_passage_and_the_rare_ones_come_more_often() -> None:
    docs = [Doc(str(i), f"common shared words {'zebra' if i == 0 else 'plain'}") for i in range(50)]
    idf = rarity(docs)
    assert idf["zebra"] > idf["common"]
    drawn = [keywords(docs[0], idf, str(seed)).split() for seed in range(200)]
    assert sum("zebra" in words for words in drawn) > sum("common" in words for words in drawn)
    assert keywords(docs[0], idf, "1") == keywords(docs[0], idf, "1")


def test_a_diverse_sample_has_as_many_of_a_small_cluster_as_of_a_large_one() -> None:
    np = pytest.importorskip("numpy")
    draw = np.random.default_rng(0)
    rows = np.eye(3)[[0] * 90 + [1] * 6 + [2] * 4] + draw.normal(0, 0.01, (100, 3))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = diverse(rows, 12, 30, 0)
    assert found == diverse(rows, 12, 30, 0) and len(set(found)) == 12
    assert sum(place < 90 for place in found) < 11
    assert len(set(clusters(rows, 3, 0))) <= 3


def test_candidates_are_the_best_and_some_of_every_level_below() -> None:
    order = [str(place) for place in range(40)]
    assert _spread(order, 8) == ["0", "1", "2", "3", "4", "15", "27", "39"]
    assert _spread(order[:3], 8) == ["0", "1", "2"]


def test_a_candidate_above_the_passage_is_dropped_and_so_is_a_query_that_does_not_find_it(
    tmp_path,
) -> None:
    recipe = _recipe(tmp_path, found=2)
    made = cut(LONG, "title", 20, "seed")
    corpus = {name: Doc(name, name) for name in "abcd"} | {"d": made.passage}
    query = Query("q", made.query)
    kept = _judged(recipe, made, query, corpus, {"a": 3.0, "d": 2.0, "b": 1.0, "c": 0.5})
    assert list(kept.scores) == ["d", "b", "c"]
    assert _judged(recipe, made, query, corpus, {"a": 3.0, "b": 2.5, "d": 2.0}) is None
    asked = cut(LONG, "keywords", 20, "seed")
    others = _judged(recipe, asked, query, corpus, {"a": 3.0, "d": 2.0, "b": 1.0})
    assert list(others.scores) == ["a", "b"]


@pytest.mark.slow
def test_a_corpus_becomes_candidates_that_train_reads_and_the_same_ones_again(tmp_path) -> None:
    asked = ["pseudo", str(_recipe_file(tmp_path)), "--json", "-o"]
    counts = CliRunner().invoke(app, [*asked, str(tmp_path / "a.jsonl")])
    CliRunner().invoke(app, [*asked, str(tmp_path / "b.jsonl")])
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    found = read_candidates(tmp_path / "a.jsonl")
    assert json.loads(counts.stdout)["queries"] == len(found.queries) > 10
    judged = {query.text for query in load("demo").queries.values()}
    assert not judged & {query.text for query in found.queries.values()}
    training, _ = examples(
        DataOptions(candidates=str(tmp_path / "a.jsonl"), teacher="scores", validation=0.2)
    )
    assert all(len(example.docs) <= 6 for example in training)


def _recipe_file(folder, **changes):
    path = folder / "pseudo.toml"
    keys = {"passages": 60, "queries": 30, "clusters": 8, "candidates": 6, "depth": 20} | changes
    lines = [f"{key} = {value}" for key, value in keys.items()]
    path.write_text("\n".join(['corpora = ["demo"]', *lines]))
    return path


def _recipe(folder, **changes):
    return read_pseudo(_recipe_file(folder, **changes))
