# ruff: noqa: RUF001 - digits and letters that only look like ours are what is tested here
"""Readers are total: any reply gives a legal answer of the right shape, and a true status."""

import math
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerank.questions import Compare, Order, Pick, Rate
from rerank.readers import READERS
from rerank.records import Status
from rerank.wants import Labels, Likelihood, Logits, Pair, Reply, Text

OK, REPAIRED, UNREADABLE = Status.OK, Status.REPAIRED, Status.UNREADABLE
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
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


def read(name, text="", labels=("1", "2", "3"), scores=(), finished=True):
    return READERS[name].read(Reply(text, scores=tuple(scores), finished=finished), labels)


def order(text, labels=("1", "2", "3")):
    """The order that a reply was read as, in the labels themselves, and the status."""
    value, status = read("permutation", text, labels)
    return "".join(labels[place] for place in value), status


def sorted_by(name, text, labels=("1", "2", "3")):
    """The order that another reader of orders finds, and the status."""
    value, status = read(name, text, labels)
    return "".join(labels[place] for place in value), status


def picked(text, labels="ABC"):
    """The label that has all the weight, and the status."""
    weights, status = read("picked-label", text, labels)
    best = [label for label, weight in zip(labels, weights, strict=True) if weight]
    return "".join(best), status


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


@pytest.mark.parametrize(
    "text", ["the 2 passages are", "the top 10", "I rate passage 3 well", "in 2019"]
)
def test_digits_in_prose_are_no_identifiers(text):
    assert order(text) == ("123", UNREADABLE)


def test_brackets_win_over_digits_in_prose():
    assert order("Of the 3 passages, [2] > [3] > [1] in 2019") == ("231", OK)


def test_a_bare_list_wins_over_digits_in_prose():
    assert order("Here are the 3 passages: 2, 3, 1") == ("231", OK)
    assert order("Passage 2 > Passage 3 > Passage 1") == ("231", OK)
    assert order('["2", "3", "1"]') == ("231", OK)
    assert order("[2, 3, 1]") == ("231", OK)
    assert order("2\n3\n1\n") == ("231", OK)


def test_the_numbers_of_a_numbered_list_are_no_identifiers():
    assert order("1. [2]\n2. [3]\n3. [1]") == ("231", OK)
    assert order("1. Passage 2\n2. Passage 3\n3. Passage 1") == ("231", OK)
    assert order("1. B\n2. C\n3. A", "ABC") == ("BCA", OK)


def test_letters_that_stand_together_are_no_identifiers():
    assert order("BAC", "ABC") == ("ABC", UNREADABLE)
    assert order("213") == ("123", UNREADABLE)
    assert order("②①③") == ("123", UNREADABLE)


def test_words_of_one_letter_are_no_identifiers():
    labels = LETTERS[:20]
    assert order("I think that A passage is good", labels) == (labels, UNREADABLE)
    assert order("I would say B > A", labels) == ("BA" + labels[2:], REPAIRED)
    assert order("I would say [B] > [A]", labels) == ("BA" + labels[2:], REPAIRED)


def test_a_single_identifier_counts_when_it_is_all_that_was_said():
    assert order("2") == ("213", REPAIRED)
    assert order(" B.\n", "ABC") == ("BAC", REPAIRED)
    assert order("I", LETTERS) == ("I" + LETTERS.replace("I", ""), REPAIRED)


def test_an_identifier_may_be_glued_to_the_word_passage():
    """LRL's lists: `[PASSAGE2, PASSAGE1]`."""
    assert order("[PASSAGE2, PASSAGE3, PASSAGE1]") == ("231", OK)
    assert order("SORTED_PASSAGES = [PASSAGE2, PASSAGE3, PASSAGE1]") == ("231", OK)
    assert order("[PASSAGE2]") == ("213", REPAIRED)
    assert order("PASSAGE22") == ("123", UNREADABLE)


def test_an_order_with_prose_between_its_identifiers_is_at_best_repaired():
    assert order("[1] is bad. [3] > [2]") == ("132", REPAIRED)
    assert order("[3], then [2] and [1]") == ("321", REPAIRED)
    assert order("Passage [3] > Passage [2] > Passage [1] as asked") == ("321", OK)
    assert sorted_by("selection", "[1] is bad. [3]") == ("132", REPAIRED)


def test_identifiers_that_are_called_equal_keep_the_order_they_were_said_in():
    """Rank-K: `[3] > [2] = [1]`."""
    assert order("[3] > [1] = [2]") == ("312", OK)


def test_a_selection_is_ok_without_the_others_which_follow_in_their_old_order():
    assert sorted_by("selection", "Document 3, Document 1") == ("312", OK)
    assert sorted_by("selection", "Document 3") == ("312", OK)
    assert sorted_by("selection", "The best documents are:\nDocument 3, Document 2") == ("321", OK)
    assert sorted_by("selection", "[2]") == ("213", OK)
    assert sorted_by("selection", "Document 2, Document 3, Document 1") == ("231", OK)
    assert sorted_by("selection", "B, A", ("A", "B", "C")) == ("BAC", OK)


def test_a_selection_of_what_is_unknown_or_doubled_is_repaired():
    assert sorted_by("selection", "Document 3, Document 3") == ("312", REPAIRED)
    assert sorted_by("selection", "Document 9, Document 2") == ("213", REPAIRED)


@pytest.mark.parametrize("text", ["", "None of them", "Document 3 is about bees", "the top 2", "9"])
def test_a_selection_of_nothing_is_unreadable(text):
    assert sorted_by("selection", text) == ("123", UNREADABLE)


RATED = '<think>[1]: 9</think><answer>{"[1]": 3, "[2]": 8, "[3]": 3}</answer>'


@pytest.mark.parametrize(
    "text",
    [
        RATED,
        '{"1": 3, "2": 8.5, "3": 3}',
        "[1]: 3\n[2]: 8\n[3]: 3",
        '{"[1]": "3", "[2]" : "8", "3":3}',
    ],
)
def test_ratings_sort_and_equal_ones_keep_their_old_order(text):
    assert sorted_by("rated-list", text) == ("213", OK)


def test_ratings_of_letters_and_below_zero_are_ratings():
    assert sorted_by("rated-list", "A: -1, B: 0.5, C: -0.5", ("A", "B", "C")) == ("BCA", OK)


def test_what_was_not_rated_goes_last_in_its_old_order_and_is_repaired():
    """The published code rates a whole unreadable group 0, and sinks it."""
    assert sorted_by("rated-list", '{"[3]": 0}') == ("312", REPAIRED)
    assert sorted_by("rated-list", '{"[3]": 1, "[9]": 7, "[1]": 2}') == ("132", REPAIRED)
    assert sorted_by("rated-list", '{"1": 1, "1": 9, "2": 5, "3": 4}') == ("123", REPAIRED)
    for text in ("", "I would say 7 of 10", "{}", "<think>[1]: 2, [2]: 3, [3]: 4"):
        assert sorted_by("rated-list", text) == ("123", UNREADABLE)


def test_digits_of_other_scripts_are_digits():
    assert order("［２］ > [³] > [١]") == ("231", OK)
    assert order("② > ❸ > ①") == ("231", OK)


def test_a_very_long_number_is_no_identifier():
    """`int` refuses more than 4300 digits, and a part of a number is another number."""
    assert order("1" * 5000) == ("123", UNREADABLE)
    assert order("[" + "1" * 5000 + "]") == ("123", UNREADABLE)
    assert order("0000001, 0000002, 0000003") == ("123", UNREADABLE)


def test_zero_is_no_identifier_and_not_the_last_document():
    assert order("[0] > [2]") == ("213", REPAIRED)
    assert order("[0]") == ("123", UNREADABLE)


def test_out_of_range_is_dropped_and_repaired():
    assert order("[4] > [2] > [1] > [3]") == ("213", REPAIRED)
    assert order("[D] > [B] > [A] > [C]", "ABC") == ("BAC", REPAIRED)
    assert order("[9]") == ("123", UNREADABLE)


def test_doubled_keeps_the_first_place_and_is_repaired():
    assert order("[3] > [1] > [3] > [2]") == ("312", REPAIRED)
    assert order("[b] > [B] > [A] > [c]", "ABC") == ("BAC", REPAIRED)


def test_missing_identifiers_follow_in_their_old_order_and_are_repaired():
    assert order("[3]") == ("312", REPAIRED)
    assert order("[3] > [2] > [", ("1", "2", "3", "4")) == ("3214", REPAIRED)


@pytest.mark.parametrize("text", ["", " ", "no idea", "[] > []", "[x]", "☃", "\n\n"])
def test_nothing_read_is_the_old_order_and_unreadable(text):
    assert order(text) == ("123", UNREADABLE)


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


ALONE = ["B", "b", "B.", "[B]", "(B)", "**B**", '"B"', "B\n\nIt says so.", "Answer: B"]
CALLED = ["Passage B", "passage: B", "Document B, of course", "**Passage B**", "Answer: Passage B"]


@pytest.mark.parametrize("text", [*ALONE, *CALLED, "Passage B is more relevant to the query"])
def test_a_label_that_a_reply_begins_with_is_picked(text):
    assert picked(text) == ("B", OK)


NONE = ["", "A passage about bees", "the passage a bee", "I cannot say", "Passage", "Bees", "8192"]


@pytest.mark.parametrize(
    "text", [*NONE, "D", "AB", "ABC", "A and B", "Both Passage A and Passage B"]
)
def test_what_names_no_label_or_two_picks_nothing(text):
    assert picked(text) == ("", UNREADABLE)


TIES = ["Passage A and B are equally relevant", "Neither Passage A nor B is relevant", "A, B"]
DOUBTS = ["It is not Passage A", "The best is Passage B.", "Passage A isn't relevant", "A\nb"]


@pytest.mark.parametrize("text", [*TIES, *DOUBTS, "Passage B or none", "A: both of them"])
def test_a_tie_or_a_denial_picks_nothing(text):
    assert picked(text) == ("", UNREADABLE)
    assert read("preferred-passage", text, "AB") == (0.5, UNREADABLE)


def test_a_refusal_picks_no_passage_whose_letter_is_a_word_of_it():
    assert picked("I, as an AI model, cannot", LETTERS[:10]) == ("", UNREADABLE)
    assert picked("I, as an AI model, refuse", LETTERS[:10]) == ("", UNREADABLE)


def test_an_article_in_what_follows_is_no_other_label():
    assert picked("B. It gives a full reply, and it's short", LETTERS[:20]) == ("B", OK)


def test_labels_of_any_length_are_picked():
    assert picked("12", tuple(map(str, range(1, 21)))) == ("12", OK)
    assert picked("Passage 2", tuple(map(str, range(1, 21)))) == ("2", OK)
    assert picked("second.", ("First", "Second")) == ("Second", OK)


def test_a_named_passage_is_a_preference_and_nothing_read_is_undecided():
    assert read("preferred-passage", "Passage A", "AB") == (1.0, OK)
    assert read("preferred-passage", "Passage B.", "AB") == (0.0, OK)
    assert read("preferred-passage", "Neither", "AB") == (0.5, UNREADABLE)


def test_first_token_scores_sort_and_ties_keep_their_order():
    assert read("label-order", labels="ABCD", scores=(-2, -1, -2, -1)) == ([1, 3, 0, 2], OK)
    assert read("label-order", labels="ABC", scores=(-1, -1, -1)) == ([0, 1, 2], OK)


@pytest.mark.parametrize(
    "scores", [(), (-1.0,), (-1.0, -2.0, -3.0, -4.0), (-1, math.nan, -2), (-1, -2, -math.inf)]
)
def test_scores_that_are_not_one_finite_number_a_label_are_unreadable(scores):
    assert read("label-order", scores=scores) == ([0, 1, 2], UNREADABLE)
    assert read("label-weights", scores=scores) == ([0.0, 0.0, 0.0], UNREADABLE)
    assert read("label-preference", labels="AB", scores=scores) == (0.5, UNREADABLE)
    assert read("label-odds", labels=("Yes", "No"), scores=scores) == (-math.inf, UNREADABLE)
    for name in ("label-expectation", "label-peak"):
        assert read(name, labels="012", scores=scores) == (-math.inf, UNREADABLE)


def test_label_weights_are_probabilities_over_the_labels_alone():
    weights, status = read("label-weights", scores=(math.log(0.1), math.log(0.3), math.log(0.1)))
    assert weights == pytest.approx([0.2, 0.6, 0.2])
    assert status is OK
    far = read("label-weights", scores=(-1e308, 1e308, -1000.0)).value
    assert far == [0.0, 1.0, 0.0]


def test_the_first_label_against_the_second_is_the_preference():
    value, _ = read("label-preference", labels="AB", scores=(math.log(0.3), math.log(0.1)))
    assert value == pytest.approx(0.75)


def test_log_odds_do_not_saturate_where_probabilities_do():
    strong, stronger = (-1e-20, -45.0), (-1e-22, -50.0)
    probabilities = [
        read("label-weights", labels="AB", scores=s).value[0] for s in (strong, stronger)
    ]
    odds = [read("label-odds", labels=("Yes", "No"), scores=s).value for s in (strong, stronger)]
    assert probabilities == [1.0, 1.0]
    assert odds[0] < odds[1]


def test_the_grade_to_be_expected_is_the_mean_of_the_grades_by_their_chances():
    scores = [math.log(p) for p in (0.1, 0.2, 0.1)]
    value, status = read("label-expectation", labels="012", scores=scores)
    assert (value, status) == (pytest.approx(0.2 / 0.4 + 2 * 0.1 / 0.4), OK)
    assert read("label-expectation", labels="01", scores=(-1e308, 0.0)).value == 1.0


def test_the_peak_is_the_log_probability_of_the_highest_grade_alone():
    assert read("label-peak", labels="012", scores=(-1.0, -2.0, -3.0)) == (-3.0, OK)


@pytest.mark.parametrize("name", ["score", "likelihood", "label-logit"])
def test_one_number_is_taken_as_it_is(name):
    assert read(name, labels=(), scores=(-7.25,)) == (-7.25, OK)
    assert read(name, labels=(), scores=(math.nan,)) == (-math.inf, UNREADABLE)
    assert read(name, labels=(), scores=()) == (-math.inf, UNREADABLE)


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
