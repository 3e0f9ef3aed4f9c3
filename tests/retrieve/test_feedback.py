"""A reranker that teaches its retriever: slopes that are right, queries that find more."""

import json
from zlib import crc32

import numpy as np
import pytest

from rerank.errors import InputError
from rerank.pipeline import run
from rerank.pipeline.verify import verify
from rerank.recipes import Recipe, read_recipe
from rerank.recipes.stages import DenseOptions, FeedbackOptions
from rerank.records import Doc, Query
from rerank.retrieve import dense, feedback
from rerank.retrieve.dense import Dense
from rerank.retrieve.feedback import Teacher, towards_order, towards_scores

DRAW = np.random.default_rng(5)
DOCS = DRAW.normal(size=(12, 6))
QUERY = DRAW.normal(size=6)
SCORES = DRAW.normal(size=12) * 4


def slope_of(loss, at):
    """By differences."""
    steps = np.eye(len(at)) * 1e-6
    return np.array([(loss(at + step) - loss(at - step)) / 2e-6 for step in steps])


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum()


def test_each_step_descends_the_loss_that_it_names(monkeypatch):
    slopes = []
    monkeypatch.setattr(feedback, "_descended", lambda at, slope, *_: slopes.append(slope) or at)
    towards_scores(QUERY, DOCS, SCORES, 0.1, 1)
    towards_order(QUERY, DOCS, 0.1, 1)
    spread = np.ptp(DOCS @ QUERY)

    def divergence(q):
        target = softmax(SCORES)
        return (target * np.log(target / softmax(np.ptp(SCORES) / spread / 2 * (DOCS @ q)))).sum()

    def pairs(q):
        s = 11 / spread / 2 * (DOCS @ q)
        each = [(i, j) for i in range(12) for j in range(i + 1, 12)]
        return sum(np.log1p(np.exp(s[j] - s[i])) / (i + j + 2) for i, j in each)

    at = QUERY + 0.1
    assert slopes[0](at) == pytest.approx(slope_of(divergence, at), rel=1e-4)
    assert slopes[1](at) == pytest.approx(slope_of(pairs, at), rel=1e-4)


def test_a_query_comes_to_rank_as_its_teacher_did():
    order = list(DRAW.permutation(6))
    moved = towards_order(QUERY, DOCS[order], 0.05, 500)
    assert np.argsort(-(DOCS[order] @ moved)).tolist() == list(range(6))
    moved = towards_scores(QUERY, DOCS[:5], SCORES[:5], 0.05, 500)
    assert np.argmax(DOCS[:5] @ moved) == np.argmax(SCORES[:5])


def test_where_there_is_nothing_to_learn_the_query_stays():
    same = np.repeat(DOCS[:1], 4, axis=0)
    assert towards_order(QUERY, same, 0.1, 9) is QUERY
    assert towards_order(QUERY, DOCS[:1], 0.1, 9) is QUERY
    assert towards_scores(QUERY, DOCS, np.ones(12), 0.1, 9) is QUERY


class Plane:
    """A text is its two numbers, made as long as 1."""

    name, width, prompts = "plane", 2, ("", "")

    def encode(self, texts):
        rows = np.array([[float(x) for x in text.split()] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def plane(tmp_path):
    docs = [Doc(f"d{n}", f"{np.cos(n / 10)} {np.sin(n / 10)}") for n in range(16)]
    return Dense(docs, DenseOptions(), tmp_path, Plane())


def test_what_the_teacher_prefers_is_found_among_documents_it_never_saw(plane):
    asked = [Query("q", "1 0.5"), Query("untaught", "1 0.5")]
    before = plane.search(asked, 5)
    order = {"q": {"d8": 3.0, "d6": 2.0, "d4": 1.0}}
    teacher = Teacher(plane, order, None, FeedbackOptions(order="x", order_rate=0.02))
    moved = teacher.moved(asked)
    after = plane.nearest(asked, moved, 5)
    assert "d9" in after["q"] and "d9" not in before["q"]
    assert after["untaught"] == before["untaught"]
    assert np.linalg.norm(moved, axis=1) == pytest.approx(np.ones(2), abs=1e-5)
    assert teacher.record["queries_taught"] == 1


def test_scores_teach_before_the_order_does(plane):
    asked = [Query("q", "1 0.5")]
    run = {"q": {"d8": 9.0, "d6": 2.0, "d4": 1.0}}
    options = FeedbackOptions(order="x")
    by_scores = Teacher(plane, None, run, options).moved(asked)
    by_both = Teacher(plane, run, run, options).moved(asked)
    direction = np.array([np.cos(0.8), np.sin(0.8)])
    before = plane.embedded(asked)[0] @ direction
    assert before < by_scores[0] @ direction < by_both[0] @ direction


def test_a_document_that_the_corpus_lacks_cannot_teach(plane):
    teacher = Teacher(plane, {"q": {"d1": 2.0, "z": 1.0}}, None, FeedbackOptions(order="x"))
    with pytest.raises(InputError, match="document 'z' is not in the corpus"):
        teacher.moved([Query("q", "1 0")])


def test_a_recipe_without_a_teacher_is_an_error(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('suite = "demo"\nmethod = "first-stage"\nfirst = "feedback"\n')
    with pytest.raises(InputError, match="key 'feedback' is missing"):
        read_recipe(path)
    path.write_text(f"{path.read_text()}[feedback]\ntop = 5\n")
    with pytest.raises(InputError, match="somebody must teach"):
        read_recipe(path)


class Bag:
    """A text is how often it has each word, made as long as 1."""

    name, width, prompts = "bag", 512, ("", "")

    def encode(self, texts):
        rows = np.zeros((len(texts), self.width), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[crc32(word.encode()) % self.width] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_second_recipe_learns_from_the_run_of_the_first(tmp_path, monkeypatch):
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(dense, "embedder", lambda options: Bag())
    plain = {"dataset": "demo", "limit": 20, "depth": 8, "measures": ("recall@8",)}
    first = Recipe(first="dense", method="setwise-heapsort", judge="oracle", **plain)
    before = run(first, tmp_path / "reranked")["mean"]["recall@8"]
    teacher = {"order": str(tmp_path / "reranked" / "run.trec.gz")}
    second = Recipe(first="feedback", feedback=teacher, method="first-stage", **plain)
    result = run(second, tmp_path / "taught")
    assert result["mean"]["recall@8"] > before
    [part] = result["datasets"].values()
    assert part["retrieval"]["queries_taught"] == 20
    assert json.dumps(result["ir_metadata"]).count("order_rate") == 1
    assert verify(tmp_path / "taught") == []
