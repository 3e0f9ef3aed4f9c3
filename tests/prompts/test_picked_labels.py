"""A label is picked where a reply names one, and scores are read one for each label."""

import math

import pytest
from readings import LETTERS, OK, UNREADABLE, picked, read

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
