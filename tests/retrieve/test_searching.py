"""A model that rates in the first stage: it searches a corpus, or teaches a retriever."""

import json
import random
from functools import cache
from zlib import crc32

import numpy as np
import pytest
from fakes import ScriptedEngine

from rerank.engines import cached
from rerank.errors import EngineError, InputError, UsageError
from rerank.pipeline import plan, run
from rerank.pipeline.verify import verify
from rerank.recipes import Recipe, read_recipe
from rerank.recipes.stages import CurOptions, FeedbackOptions, RatingOptions
from rerank.records import Doc, Query
from rerank.retrieve import dense
from rerank.tasks import load_tasks, searching, suite_of
from rerank.tasks.rating import Rater
from rerank.tasks.searching import phrases
from rerank.wants import Pair, Reply

MODEL = {"model": "m"}
SIZE = 64
DOCS = 90
QUERIES = 10


@cache
def bag(text):
    """How often a text has each word, made as long as 1."""
    row = np.zeros(SIZE)
    for word in text.lower().split():
        row[crc32(word.encode()) % SIZE] += 1
    return row / (np.linalg.norm(row) or 1)


class Bag:
    name, width, prompts = "bag", SIZE, ("", "")

    def encode(self, texts):
        return np.array([bag(text) for text in texts], np.float32)


def alike(request):
    return Reply(scores=(float(bag(request.want.query) @ bag(request.want.doc)),))


@pytest.fixture(scope="module")
def topics(tmp_path_factory):
    """A collection in which a query has two words of a topic, and a document a dozen."""
    folder = tmp_path_factory.mktemp("topics")
    draw = random.Random(1)
    words = {topic: [f"{topic}{n}" for n in range(15)] for topic in ("salt", "snow", "bread")}

    def text(topic, count):
        return " ".join(draw.choices(words[topic], k=count) + [f"word{draw.randint(0, 9)}"] * 2)

    of = [draw.choice([*words]) for _ in range(DOCS)]
    asked = [draw.choice([*words]) for _ in range(QUERIES)]
    corpus = [{"_id": f"d{n}", "text": text(topic, 12)} for n, topic in enumerate(of)]
    queries = [{"_id": f"q{n}", "text": text(topic, 2)} for n, topic in enumerate(asked)]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "qrels").mkdir()
    judged = [f"q{n}\td{d}\t1\n" for n in range(QUERIES) for d in range(DOCS) if asked[n] == of[d]]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))
    return folder


@pytest.fixture
def replying(monkeypatch, tmp_path, topics):
    """Ratings as a function of the request, by a scripted engine; gives the engines it opened."""
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(dense, "embedder", lambda options: Bag())
    monkeypatch.chdir(topics)
    opened = []

    def replying(reply):
        def open_engine(name, model, options):
            opened.append(ScriptedEngine(reply, wants=(Pair,), seed=4))
            return opened[-1]

        monkeypatch.setattr(cached, "open_engine", open_engine)
        return opened

    return replying


def asked(opened):
    return sum(len(engine.requests) for engine in opened)


def recipe(**keys):
    plain = {"dataset": ".", "method": "first-stage", "depth": 30, "measures": ("recall@30",)}
    return Recipe(**plain | keys)


def searched(**changed):
    cur = CurOptions(**{**MODEL, "budget": 30, "rounds": 3, "anchor_queries": 8, **changed})
    made = recipe(first="cur", cur=cur)
    [task] = load_tasks(made, suite_of(made))
    return task


def test_a_corpus_is_searched_with_a_model_at_so_many_ratings_a_query(replying):
    opened = replying(alike)
    task = searched()
    said = task.retrieval
    assert (said["anchor_queries"], said["ratings_once"]) == (8, 8 * DOCS)
    assert said["ratings"] == QUERIES * 30
    assert asked(opened) == said["ratings"] + said["ratings_once"]
    for query, docs in task.candidates.items():
        ratings = [bag(query.text) @ bag(doc.text) for doc in docs]
        assert len(docs) == 30 and ratings == sorted(ratings, reverse=True)


def test_a_dry_run_asks_no_model_for_the_first_stage_either(replying):
    opened = replying(alike)
    stages = {"feedback": {"feedback": FeedbackOptions(scorer=RatingOptions(**MODEL))}}
    stages["cur"] = {"cur": CurOptions(**MODEL)}
    for first, keys in stages.items():
        made = recipe(first=first, **keys, **{**MODEL, "method": "scorer", "depth": 7})
        [cost] = plan(made).values()
        assert cost.calls == QUERIES * 7
    assert not opened


def test_what_was_rated_is_not_asked_again(replying):
    opened = replying(alike)
    first, before = searched(), asked(opened)
    second = searched()
    assert (second.candidates, second.retrieval) == (first.candidates, first.retrieval)
    assert asked(opened) == before
    searched(seed=1)
    assert asked(opened) > before


def test_anchor_queries_that_were_rated_before_a_kill_are_not_rated_again(replying):
    left = [8 * DOCS + 7]  # the ninth query

    def dies(request):
        left[0] -= 1
        return alike(request) if left[0] >= 0 else Reply(error="the server is gone")

    replying(dies)
    with pytest.raises(EngineError, match="the server is gone"):
        searched(anchor_queries=12)
    opened = replying(alike)
    said = searched(anchor_queries=12).retrieval
    assert len(opened[-1].requests) == said["ratings"] + 4 * DOCS


def test_every_anchor_query_is_rated_with_every_document(replying):
    replying(alike)
    docs = [Doc(f"d{n}", f"salt{n % 5} snow{n}") for n in range(20)]
    anchors = [Query("a", "salt1 snow3"), Query("b", "snow17"), Query("c", "salt4")]
    rater = Rater(RatingOptions(**MODEL))
    found = searching.matrix_of(rater, docs, anchors)
    rater.close()
    wanted = [[bag(query.text) @ bag(doc.text) for doc in docs] for query in anchors]
    assert found == pytest.approx(np.array(wanted), abs=1e-6)


def test_queries_that_show_the_same_document_ask_for_it_together(replying):
    opened = replying(alike)
    salt, snow = Doc("a", "salt1"), Doc("b", "snow2")
    shown = {Query("x", "salt1"): [salt, snow, salt], Query("y", "snow2"): [snow, salt]}
    rater = Rater(RatingOptions(**MODEL))
    found = rater.rated(shown)
    rater.close()
    asked_for = [request.want.doc for request in opened[-1].requests]
    assert asked_for == sorted(asked_for) and rater.calls == 5
    for query, docs in shown.items():
        assert found[query] == pytest.approx([bag(query.text) @ bag(d.text) for d in docs])


def test_a_search_may_begin_with_any_first_stage_or_with_none(replying):
    replying(alike)
    starts = (("bm25",), ("dense",), ())
    found = [searched(start=start, budget=20).candidates for start in starts]
    assert found[0] != found[1] != found[2] != found[0]


def test_a_rating_that_cannot_be_read_is_the_worst_of_its_row(replying):
    replying(lambda request: Reply() if "snow3" in request.want.doc else alike(request))
    task = searched()
    assert len(task.candidates) == QUERIES
    for docs in task.candidates.values():
        unread = ["snow3" in doc.text for doc in docs]
        assert unread == sorted(unread)


def test_a_model_that_gives_no_rating_at_all_searches_nothing(replying):
    replying(lambda request: Reply())
    with pytest.raises(EngineError, match="no rating of an anchor query could be read"):
        searched()


def test_anchor_queries_of_a_split_are_not_those_that_are_ranked(replying):
    replying(alike)
    with pytest.raises(InputError, match="are ranked too"):
        searched(queries="test")


def test_phrases_are_words_of_documents_and_the_same_each_time():
    docs = [Doc(str(n), f"one two three four five six seven eight nine {n}") for n in range(30)]
    found = phrases([*docs, Doc("e", "")], 31, 5)
    assert found == phrases([*docs, Doc("e", "")], 31, 5) != phrases([*docs, Doc("e", "")], 31, 6)
    assert len(found) == 30  # an empty document has no phrase
    assert all(3 <= len(query.text.split()) <= 8 for query in found)
    assert all(query.text in docs[int(query.id.split()[1])].text for query in found)


def test_a_scorer_teaches_the_retriever_without_a_run_of_its_own(replying, tmp_path):
    opened = replying(lambda request: Reply(scores=(5.0 * ("salt" in request.want.doc),)))
    found = {}
    for first in ("dense", "feedback"):
        scorer = RatingOptions(**MODEL)
        taught = recipe(first=first, feedback=FeedbackOptions(scorer=scorer, scores_rate=0.01))
        [part] = run(taught, tmp_path / first)["datasets"].values()
        [task] = load_tasks(taught, suite_of(taught))
        found[first] = sum("salt" in d.text for docs in task.candidates.values() for d in docs)
    assert part["retrieval"]["ratings"] == asked(opened) == QUERIES * DOCS
    assert part["retrieval"]["queries_taught"] == QUERIES
    assert found["feedback"] > found["dense"] + 30
    assert verify(tmp_path / "feedback") == []


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('first = "cur"', "key 'cur' is missing"),
        ('first = "cur"\ncur = { budget = 10 }', "cur.model"),
        ('first = "cur"\ncur = { model = "m", budget = 4 }', "each must hold the one before"),
        ('cur = { model = "m", engine = "http" }', "base_url is missing"),
        ('feedback = { scores = "a", scorer = { model = "m" } }', "not both"),
        ('first = "cur"\ncur = { model = "m" }\nexpansion = { model = "m" }', "not both"),
        ('first = "cur"\ncur = { model = "m" }\npassages = { }', "not both"),
    ],
)
def test_a_table_that_cannot_work_is_an_error_at_once(keys, message, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(f'dataset = "demo"\nmethod = "first-stage"\n{keys}')
    with pytest.raises(InputError, match=message):
        read_recipe(path)


def test_a_method_that_rates_no_document_alone_is_refused():
    with pytest.raises(UsageError, match=r"'duot5' rates no document alone; .* scorer, yes-no"):
        Rater(RatingOptions(model="m", method="duot5"))


@pytest.mark.slow
def test_a_real_model_finds_what_the_first_stage_that_it_began_with_cannot(monkeypatch, tmp_path):
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    cur = CurOptions(model="all-MiniLM-L6-v2", budget=30, anchor_queries=24)
    found = {}
    for first in ("cur", "bm25"):
        made = recipe(dataset="demo", first=first, cur=cur, measures=("ndcg@10",))
        found[first] = run(made, tmp_path / first)["first_stage"]["ndcg@10"]
    assert found["cur"] > found["bm25"] + 0.05
