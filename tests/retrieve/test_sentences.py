"""Long documents: sentences that lose no word, windows without gaps, extracts within a budget."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import collection

from rerank import datasets
from rerank.errors import UsageError
from rerank.recipes import Recipe
from rerank.recipes.stages import PassageOptions
from rerank.recipes.suites import Entry
from rerank.records import Doc, Query
from rerank.retrieve.extract import extracted
from rerank.retrieve.sentences import Passages, sentences, windows
from rerank.tasks import load_tasks, suite_of
from rerank.tasks.first import search

SEVEN = Doc("d", " ".join(f"Sentence {n} is here." for n in range(7)), "Title")


def numbers(passage):
    return [int(word) for word in passage.text.split() if word.isdigit()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        (
            "By Smith et al. In Fig. 3 it is 1.5 m. Then",
            ["By Smith et al. In Fig. 3 it is 1.5 m.", "Then"],
        ),
        ('He said "Go." She went.', ['He said "Go."', "She went."]),
        ("\u6771\u4eac\u3002\u5927\u962a\u3002", ["\u6771\u4eac\u3002", "\u5927\u962a\u3002"]),
        ("A heading\n\nand a text", ["A heading", "and a text"]),
        ("a. b. c.", ["a. b. c."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_end_where_a_reader_would_say_so(text, found):
    assert sentences(text) == found


@given(st.text(alphabet="aB1 .!?\n\"'\u3002(", max_size=200))
def test_sentences_lose_no_word(text):
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_a_sentence_of_too_many_words_is_cut():
    assert [len(part.split()) for part in sentences("word " * 200)] == [80, 80, 40]


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_windows_have_every_sentence_and_the_last_ends_with_the_document(stride):
    parts = windows(SEVEN, PassageOptions(sentences=3, stride=stride))
    assert {n for part in parts for n in numbers(part)} == set(range(7))
    assert numbers(parts[0]) == [0, 1, 2]
    assert numbers(parts[-1])[-1] == 6
    assert all(part.title == "Title" for part in parts)
    assert len(parts) == len({part.text for part in parts}) == {1: 5, 2: 3, 3: 3}[stride]


def test_a_short_or_an_empty_document_is_one_passage():
    assert [
        len(windows(Doc("d", text), PassageOptions())) for text in ("", "One.", "One. Two.")
    ] == [1, 1, 1]


@pytest.mark.parametrize(
    ("score", "best"),
    [("first", ["b", "a"]), ("max", ["a", "b"]), ("sum", ["b", "a"]), ("top", ["a", "b"])],
)
def test_scores_of_passages_make_one_of_the_document(score, best):
    options = PassageOptions(sentences=1, stride=1, score=score, k=2)
    docs = [Doc(name, "One. Two. Three. Four.") for name in "ab"]
    passages = Passages.of(docs, options)
    scores = {"a#0": 1.0, "a#1": 9.0, "b#0": 4.0, "b#1": 4.0, "b#2": 4.0}
    given = {passage: s for passage, s in scores.items() if passage in passages.owner}
    assert list(passages.joined({"q": given}, 5)["q"]) == best
    assert len(passages.joined({"q": given}, 1)["q"]) == 1


def test_ids_that_two_passages_would_share_are_refused():
    docs = [Doc("a", "One."), Doc("a", "Two.")]
    with pytest.raises(UsageError, match="the same id"):
        Passages.of(docs, PassageOptions())


def test_a_stride_that_leaves_gaps_is_refused():
    with pytest.raises(ValueError, match="would never be read"):
        PassageOptions(sentences=2, stride=3)


@pytest.fixture
def long(tmp_path, monkeypatch):
    """Two documents: one is about foxes at its end, the other mentions one among much else."""
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    filler = " ".join(f"Word{n} follows word{n + 1}." for n in range(40))
    corpus = {
        "about": f"{filler} The red fox digs a den. A fox den is deep.",
        "beside": f"A fox. {filler} {filler} A den.",
    }
    folder = tmp_path / "long"
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": name, "text": text} for name, text in corpus.items()]
    (folder / "corpus.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "fox den"}\n')
    (folder / "qrels" / "test.tsv").write_text("q\tabout\t1\n")
    return str(folder)


def test_a_recipe_with_passages_scores_documents_by_them(long):
    recipe = Recipe(
        dataset=long, method="first-stage", passages=PassageOptions(sentences=2, stride=1)
    )
    [task] = load_tasks(recipe, suite_of(recipe))
    [docs] = task.candidates.values()
    assert [doc.id for doc in docs] == ["about", "beside"]
    assert docs[0].text.startswith("Word0")
    assert task.retrieval["documents"] > 100  # passages
    dataset = datasets.load(long)
    run = search("bm25", recipe, dataset, Entry(source=long), list(dataset.queries.values()), 1).run
    assert list(run["q"]) == ["about"]


def test_a_recipe_with_an_extract_shows_what_the_query_is_about(long):
    recipe = Recipe(dataset=long, method="first-stage", extract={"words": 11})
    [task] = load_tasks(recipe, suite_of(recipe))
    [docs] = task.candidates.values()
    texts = {doc.id: doc.text for doc in docs}
    assert texts["about"] == "The red fox digs a den. A fox den is deep."
    assert texts["beside"].startswith("A fox.") and texts["beside"].endswith("A den.")
    assert all(len(text.split()) <= 11 for text in texts.values())


def test_a_second_sentence_of_the_same_terms_gives_way_to_one_of_others():
    doc = Doc("d", "A fox ran. A fox slept. The den is dry. Nothing else happened to any of them.")
    [short] = extracted(Query("q", "fox den"), [doc], 7)
    assert short.text == "A fox ran. The den is dry."


def test_a_document_within_the_budget_stays_as_it_is():
    doc = Doc("d", "Two  spaces. And\na line.")
    assert extracted(Query("q", "line"), [doc], 5) == [doc]


@given(
    st.lists(st.sampled_from(["Fox.", "den", "a", "Snow fell", "."]), max_size=60),
    st.integers(1, 30),
)
def test_an_extract_never_has_more_words_than_its_budget(parts, words):
    [doc] = extracted(Query("q", "fox den"), [Doc("d", " ".join(parts))], words)
    assert len(doc.text.split()) <= words


@pytest.mark.slow
def test_an_extract_of_scifact_keeps_more_of_the_query_than_the_beginning_does():
    dataset = datasets.load(str(collection("scifact")))
    kept = {"extract": 0, "beginning": 0}
    for query, grades in list(dataset.qrels.items())[:100]:
        asked = dataset.queries[query]
        docs = [dataset.corpus[doc] for doc in grades]
        for doc, short in zip(docs, extracted(asked, docs, 60), strict=True):
            terms = set(asked.text.lower().split())
            kept["extract"] += len(terms & set(short.text.lower().split()))
            kept["beginning"] += len(terms & set(doc.text.lower().split()[:60]))
    assert kept["extract"] > 1.2 * kept["beginning"], kept
