# ruff: noqa: RUF001 - digits and letters that only look like ours are what is tested here
"""Readers are total: any reply gives a legal answer of the right shape, and a true status."""

import math
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from readings import LETTERS, OK, REPAIRED, UNREADABLE, order, picked, read

from rerank.questions import Compare, Order, Pick, Rate
from rerank.readers import READERS
from rerank.wants import Labels, Likelihood, Logits, Pair, Reply, Text

PIECES = [*"0129⁰¹②❸🄀٣１½[]［］(>,. \n\x00AbZIKİſ", "12", "7" * 4400, "［3］", " > ", "BAC"]
PIECES += ['"[1]": ', "2: ", "7.5", "PASSAGE2", "Document 3", '{"', "}"]
TAGS = ["<think>", "</think>", "<answer>", "</answer>", "Passage ", "document"]
said = st.one_of(st.text(), st.lists(st.sampled_from(PIECES + TAGS), max_size=30).map("".join))
scores = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), max_size=6).map(tuple)
some_labels = st.one_of(
    st.integers(0, 26).map(lambda count: tuple(LETTERS[:count])),
    st.integers(0, 120).map(lambda count: tuple(map(str, range(1, count + 1)))),
    st.sampled_from([("A", "B"), ("Yes", "No"), (" A", " B"), ("İ", "ſ"), ("(", "*")]),
)


def legal(reader, value, labels):
    """Whether a value is one that a strategy can work with."""
    if reader.asks is Order:
        return sorted(value) == list(range(len(labels)))
    if reader.asks is Pick:
        return len(value) == len(labels) and all(0 <= weight <= 1 for weight in value)
    if reader.asks is Compare:
        return 0 <= value <= 1
    return isinstance(value, float) and not math.isnan(value)


@pytest.mark.parametrize("name", READERS)
@given(text=said, scores=scores, labels=some_labels, finished=st.booleans())
@settings(deadline=None)
def test_any_reply_reads_as_a_legal_answer_with_a_status(name, text, scores, labels, finished):
    reader = READERS[name]
    if reader.asks is Compare:
        labels = (*labels, "A", "B")[:2]
    value, status = reader.read(Reply(text, scores=scores, finished=finished), labels)
    assert legal(reader, value, labels)
    assert status in (OK, REPAIRED, UNREADABLE)


@given(text=said, labels=some_labels)
@settings(deadline=None)
def test_an_order_is_ok_only_when_every_identifier_was_said(text, labels):
    _, status = read("permutation", text, labels)
    said = unicodedata.normalize("NFKC", text).replace("❸", "3").replace("٣", "3").upper()
    assert status is not OK or all(label in said for label in labels)


@pytest.mark.parametrize("labels", [LETTERS, tuple(map(str, range(1, 101))), ("1",), ("A",), ()])
@given(chance=st.randoms())
@settings(max_examples=20, deadline=None)
def test_a_whole_list_in_the_asked_format_is_ok_and_exact(labels, chance):
    places = list(range(len(labels)))
    chance.shuffle(places)
    text = " > ".join(f"[{labels[place]}]" for place in places)
    assert read("permutation", text, labels) == (places, OK)
    assert read("permutation", text.replace("[", "").replace("]", ""), labels) == (places, OK)
    shorter = " > ".join(f"[{labels[place]}]" for place in places[:-1])
    value, status = read("permutation", shorter, labels)
    assert status is (REPAIRED if len(labels) > 1 else UNREADABLE if labels else OK)
    assert value[: max(len(places) - 1, 0)] == places[:-1]


def test_digits_of_other_scripts_are_digits():
    assert order("［２］ > [³] > [١]") == ("231", OK)
    assert order("② > ❸ > ①") == ("231", OK)


def test_a_reply_that_is_cut_off_inside_a_thought_has_no_answer():
    assert order("<think>[3] > [2] > [1] would be") == ("123", UNREADABLE)
    assert order("[3] > [2] > [1] <think> no, wait") == ("123", UNREADABLE)
    assert order("<think>first</think><think>[3] > [2] > [1]") == ("123", UNREADABLE)
    assert picked("<think>A") == ("", UNREADABLE)


@pytest.mark.parametrize("name", ["thinking", "thought", "reasoning", "seed:think"])
def test_a_thought_by_another_name_is_a_thought(name):
    assert order(f"<{name}>[3] > [2] > [1] would be") == ("123", UNREADABLE)
    assert order(f"<{name}>[1]</{name}>[3] > [2] > [1]") == ("321", OK)
    assert order("[THINK][3] > [2] > [1]") == ("123", UNREADABLE)
    assert order("[THINK][1][/THINK][3] > [2] > [1]") == ("321", OK)


def test_a_number_that_was_cut_off_may_be_another():
    twelve = [str(n) for n in range(1, 13)]
    cut = Reply("<answer>[1", finished=False)
    assert READERS["picked-label"].read(cut, twelve).status is UNREADABLE
    assert READERS["picked-label"].read(replace(cut, text="[1]"), twelve).status is OK
    assert READERS["picked-label"].read(replace(cut, finished=True), twelve).status is OK


def test_only_what_follows_the_last_thought_counts():
    assert order("<think>[1] > [2] > [3]</think> [3] > [2] > [1]") == ("321", OK)
    assert order("[1] > [2]</think> [3] > [2] > [1]") == ("321", OK)
    assert order("<think>[3] > [2] > [1]</think>") == ("123", UNREADABLE)
    assert picked("<think>A</think>\n\nB") == ("B", OK)


def test_what_is_inside_answer_is_preferred():
    assert order("[1] > [2] > [3]: <answer>[3] > [2] > [1]</answer> and [2]") == ("321", OK)
    assert order("<answer>[1]</answer> no: <answer>[3] > [2] > [1]</answer>") == ("321", OK)
    assert order("<think>1</think>I like [1]. <answer>[3] > [2] > [1]") == ("321", OK)
    assert picked("As for A, hm. <answer>[C]</answer>") == ("C", OK)
    assert order("[3] > [2] > [1] <answer></answer>") == ("123", UNREADABLE)


def test_a_reply_cut_off_at_its_limit_is_ok_only_when_it_is_complete():
    value, status = read("permutation", "[3] > [2] > [1", finished=False)
    assert (value, status) == ([2, 1, 0], REPAIRED)
    assert read("permutation", "[3] > [2] > [1]", finished=False).status is OK


def test_each_reader_says_what_it_answers_and_what_it_wants():
    assert {name: (reader.asks, reader.wants) for name, reader in READERS.items()} == {
        "permutation": (Order, Text),
        "selection": (Order, Text),
        "rated-list": (Order, Text),
        "label-order": (Order, Labels),
        "picked-label": (Pick, Text),
        "label-weights": (Pick, Labels),
        "preferred-passage": (Compare, Text),
        "label-preference": (Compare, Labels),
        "label-odds": (Rate, Labels),
        "label-expectation": (Rate, Labels),
        "label-peak": (Rate, Labels),
        "label-logit": (Rate, Logits),
        "likelihood": (Rate, Likelihood),
        "score": (Rate, Pair),
    }


LONG = [
    "<answer>",
    "<think>",
    "\n",
    "[1",
    '1"',
    "1]:",
    "1: ",
    "PASSAGE1",
    "Document ",
    "[ ",
    "(",
    "1",
    "1 ",
    "A > ",
    "Passage A ",
    "passage ",
]


@pytest.mark.parametrize("text", [*(part * 10_000 for part in LONG), "1" + " " * 50_000 + "x"])
@pytest.mark.timeout(20)
def test_no_reply_takes_long_to_read(text):
    for reader in READERS.values():
        reader.read(Reply(text), ("A", "B"))
        reader.read(Reply(text), ("1", "2"))
