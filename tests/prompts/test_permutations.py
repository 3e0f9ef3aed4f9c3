"""Orders, selections and ratings are read from what was said, and repaired in the open."""

import pytest
from readings import LETTERS, OK, REPAIRED, UNREADABLE, order, sorted_by


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
