"""Long documents are rated in parts by whatever strategy asks for ratings."""

import json
import math

import pytest
from fakes import ScriptedEngine
from play import play

from rerank import Reranker
from rerank.cost import expect
from rerank.errors import InputError, UsageError
from rerank.passages import first_words
from rerank.pipeline import check, expected, run
from rerank.pipeline.verify import verify
from rerank.questions import Rate
from rerank.recipes import Recipe, read_recipe
from rerank.recipes.stages import PartOptions
from rerank.records import Doc, Query
from rerank.retrieve.sentences import joined, windows
from rerank.strategies.adaptive import adaptive_rating
from rerank.strategies.parts import Parts, in_parts
from rerank.strategies.pointwise import rate_each
from rerank.tasks import load_tasks, method_of, suite_of
from rerank.wants import Reply

DIGITS = Parts(lambda number: str(number), lambda ratings: max(ratings))


def test_a_document_is_worth_what_its_best_part_is():
    asked = []

    def digit(question):
        asked.append(question.doc)
        return int(question.doc)

    ranking, [_] = play(in_parts(rate_each([111, 91, 5, 70]), DIGITS), digit)
    assert ranking == [91, 70, 5, 111]
    assert asked == list("11191570")


def test_all_parts_of_a_batch_go_out_together():
    asking = in_parts(rate_each([12, 345]), DIGITS)
    assert next(asking) == [Rate(digit) for digit in "12345"]


def test_a_strategy_that_rates_in_rounds_never_notices():
    near = {91: [8], 8: [99]}

    def neighbours(doc):
        return near.get(doc, [])

    plain = adaptive_rating([91, 3], neighbours, batch=1)
    parts = in_parts(adaptive_rating([91, 3], neighbours, batch=1), DIGITS)
    whole, rounds = play(plain, lambda question: max(map(int, str(question.doc))))
    found, batches = play(parts, lambda question: int(question.doc))
    assert (found, len(batches)) == (whole, len(rounds))


@pytest.mark.parametrize(
    ("score", "made"), [("first", 1.0), ("max", 4.0), ("sum", 9.0), ("top", 6.0)]
)
def test_ratings_of_parts_become_one(score, made):
    options = PartOptions(score=score, k=2)
    assert joined([1.0, 4.0, -math.inf, 2.0, 2.0], options) == made
    assert joined([-math.inf, -math.inf], options) == -math.inf


@pytest.fixture
def long(tmp_path, monkeypatch):
    """Of two long documents one is about foxes at its end, the other begins with something like."""
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    filler = " ".join(f"The weather of week {n} was dry and mild." for n in range(60))
    texts = {
        "end": f"{filler} The red fox digs its den in sandy ground, where foxes raise their cubs.",
        "start": f"A bear sleeps in a cave. {filler} The den of no fox.",
    }
    folder = tmp_path / "long"
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": name, "text": text} for name, text in texts.items()]
    (folder / "corpus.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "where foxes dig a den"}\n')
    (folder / "qrels" / "test.tsv").write_text("q\tend\t1\n")
    return str(folder)


def recipe(folder, **keys):
    plain = {"dataset": folder, "method": "scorer", "model": "all-MiniLM-L6-v2"}
    return Recipe(**{**plain, "measures": ("mrr@1",), **keys})


def test_a_dry_run_counts_the_parts_of_the_documents_that_are_there(long):
    options = PartOptions(sentences=6, stride=3)
    made = recipe(long, parts=options)
    check(made)
    [task] = load_tasks(made, suite_of(made))
    [docs] = task.candidates.values()
    count = sum(len(windows(doc, options)) for doc in docs)
    assert expected(made, task).calls == count > 30
    assert expected(recipe(long), task).calls == 2


def test_what_asks_for_no_rating_is_refused_in_a_line():
    row = method_of(Recipe(dataset="demo", method="duot5", model="m", parts=PartOptions()))
    docs = [Doc(name, "text") for name in "abc"]
    with pytest.raises(UsageError, match=r"it asks Compare; take a pointwise method"):
        expect(row, {Query("q", "query"): docs})


def test_parts_and_an_oracle_are_refused_for_it_judges_whole_documents(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('dataset = "demo"\nmethod = "scorer"\njudge = "oracle"\nparts = {}\n')
    with pytest.raises(InputError, match="only whole documents are judged"):
        read_recipe(path)


@pytest.mark.slow
def test_a_real_reranker_reads_the_end_of_a_long_document_by_its_best_part(long, tmp_path):
    found = {}
    for name, keys in {
        "cut": {},
        "first": {"parts": PartOptions(score="first")},
        "max": {"parts": PartOptions()},
    }.items():
        result = run(recipe(long, **keys), tmp_path / name)
        found[name] = result["mean"]["mrr@1"]
        assert verify(tmp_path / name) == []
    assert found == {"cut": 0, "first": 0, "max": 1}


@pytest.mark.slow
def test_an_extract_may_be_as_long_as_so_many_tokens_of_the_model(long, tmp_path):
    from rerank.engines.models.checkpoints import tokenizer

    made = recipe(long, extract={"tokens": 40})
    [task] = load_tasks(made, suite_of(made))
    [docs] = task.candidates.values()
    spelled = tokenizer("all-MiniLM-L6-v2")
    lengths = [len(spelled(doc.text, add_special_tokens=False)["input_ids"]) for doc in docs]
    assert all(30 <= length <= 40 for length in lengths), lengths
    texts = {doc.id: doc.text for doc in docs}
    assert "fox digs its den" in texts["end"] and "no fox" in texts["start"]
    assert run(made, tmp_path / "run")["mean"]["mrr@1"] == 1


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("extract = {}", "give words or tokens, one of them"),
        ("extract = { words = 5, tokens = 5 }", "give words or tokens, one of them"),
        ('extract = { tokens = 5 }\njudge = "oracle"', "no model is named"),
        ("parts = { sentences = 1 }\nmodel = 'm'", "would never be read"),
    ],
)
def test_budgets_that_say_nothing_are_errors_at_once(keys, message, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(f'dataset = "demo"\nmethod = "scorer"\n{keys}\n')
    with pytest.raises(InputError, match=message):
        read_recipe(path)


TALK = "Rain fell. It was cold. A fox dug. A fox slept. Snow fell. Wind blew."


@pytest.fixture
def foxes(monkeypatch):
    """A reranker whose model counts foxes, and reads the first eight words of a text only."""

    def made(**keys):
        def counted(request):
            return Reply(scores=(float(" ".join(request.want.doc.split()[:8]).count("fox")),))

        monkeypatch.setattr(
            "rerank.library.reranker.open_engine", lambda *_: ScriptedEngine(counted)
        )
        return Reranker("any", **{"method": "scorer", **keys})

    return made


@pytest.mark.parametrize(
    ("score", "scores"),
    [
        ("first", {"talk": 0, "short": 1, "none": 0}),
        ("max", {"talk": 2, "short": 1, "none": 0}),
        ("sum", {"talk": 4, "short": 1, "none": 0}),
        ("top", {"talk": 3, "short": 1, "none": 0}),
    ],
)
def test_a_call_in_python_rates_documents_in_parts_as_recipes_do(foxes, score, scores):
    documents = [
        {"id": "short", "text": "One fox."},
        {"id": "none", "text": "No animal."},
        {"id": "talk", "text": TALK},
    ]
    parts = {"sentences": 2, "stride": 1, "score": score, "k": 2}
    with foxes(parts=parts) as reranker:
        ranking = reranker.rerank("fox", documents)
        assert reranker.estimate([("fox", documents)]).calls == ranking.calls
    assert {hit.id: hit.score for hit in ranking} == scores
    assert ranking.ids == sorted(scores, key=lambda name: -scores[name]) or score == "first"
    assert ranking.calls == (3 if score == "first" else 7)


def test_parts_of_a_document_that_was_cut_are_parts_of_what_is_left(foxes):
    parts = {"sentences": 1, "stride": 1, "score": "sum"}
    with foxes(parts=parts) as reranker:
        reranker._engine.cut = first_words
        [hit] = reranker.rerank("fox", [TALK], max_tokens_per_doc=8)
    assert hit.score == 1


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"parts": {"score": "best"}}, "parts score: .*it takes: sentences, stride, score, k"),
        ({"parts": {"sentences": 1}}, "parts: .*stride is above sentences"),
        ({"parts": {}, "method": "duot5"}, "prompt .* asks for Compare; take a pointwise method"),
        ({"parts": {}, "calibration": "c.json"}, "of whole documents' scores: give it, or parts"),
    ],
)
def test_parts_that_cannot_be_rated_are_refused_before_a_model_loads(foxes, keys, message):
    with pytest.raises(UsageError, match=message):
        foxes(**keys)
