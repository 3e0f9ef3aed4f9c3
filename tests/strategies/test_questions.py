"""Asking: one question, many, and strategies side by side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from play import play

from rerank.questions import Compare, Order, Pick, Question, Rate, ask, ask_all, together


def doubled(question):
    return question.doc * 2


def asks_in_turn(*docs):
    """Rate one after the other; return the answers."""
    answers = []
    for doc in docs:
        answers.append((yield from ask(Rate(doc))))
    return answers


def returns(value):
    yield from ()
    return value


def test_every_question_shows_its_documents_in_order():
    questions = [Rate("a"), Compare("a", "b"), Pick(("a", "b", "c")), Order(("c", "a"))]
    assert [question.documents for question in questions] == [
        ("a",),
        ("a", "b"),
        ("a", "b", "c"),
        ("c", "a"),
    ]


def test_a_question_of_no_kind_has_no_documents_to_show():
    with pytest.raises(NotImplementedError):
        _ = Question().documents


def test_the_same_question_is_equal_and_another_order_or_kind_is_not():
    assert Compare("a", "b") == Compare("a", "b")
    assert len({Compare("a", "b"), Compare("a", "b"), Compare("b", "a")}) == 2
    assert len({Pick(("a", "b")), Order(("a", "b")), Order(("b", "a"))}) == 3


def test_a_question_cannot_be_changed():
    with pytest.raises(AttributeError):
        Rate("a").doc = "b"


def test_ask_sends_one_question_and_returns_its_answer():
    assert play(asks_in_turn(1, 2), doubled) == ([2, 4], [[Rate(1)], [Rate(2)]])


def test_ask_all_sends_one_batch_and_returns_the_answers_in_order():
    questions = (Rate(doc) for doc in (3, 1, 2))
    assert play(ask_all(questions), doubled) == ([6, 2, 4], [[Rate(3), Rate(1), Rate(2)]])


def test_ask_all_of_nothing_asks_an_empty_batch():
    assert play(ask_all([]), doubled) == ([], [[]])


def test_together_joins_the_batches_and_keeps_the_order_of_the_parts():
    parts = [asks_in_turn(1, 2, 3), asks_in_turn(), asks_in_turn(4), asks_in_turn(5, 6)]
    results, batches = play(together(parts), doubled)
    assert results == [[2, 4, 6], [], [8], [10, 12]]
    assert batches == [[Rate(1), Rate(4), Rate(5)], [Rate(2), Rate(6)], [Rate(3)]]


def test_together_of_nothing_or_of_parts_that_ask_nothing_waits_for_nobody():
    assert play(together([]), doubled) == ([], [])
    assert play(together([returns("a"), returns("b")]), doubled) == (["a", "b"], [])


def test_a_part_with_an_empty_batch_holds_up_nothing():
    def hesitant():
        yield []
        yield []
        return (yield from ask(Rate(7)))

    results, batches = play(together([hesitant(), asks_in_turn(1)]), doubled)
    assert results == [14, [2]]
    assert batches == [[Rate(1)], [Rate(7)]]


def test_together_takes_parts_that_are_themselves_together():
    inner = together([asks_in_turn(1, 2), asks_in_turn(3)])
    results, batches = play(together([inner, asks_in_turn(4)]), doubled)
    assert results == [[[2, 4], [6]], [8]]
    assert batches == [[Rate(1), Rate(3), Rate(4)], [Rate(2)]]


@given(st.lists(st.lists(st.integers(), max_size=6), max_size=8))
def test_together_gives_what_each_part_gives_alone_in_as_few_rounds_as_the_longest(parts):
    results, batches = play(together(asks_in_turn(*docs) for docs in parts), doubled)
    assert results == [play(asks_in_turn(*docs), doubled)[0] for docs in parts]
    assert len(batches) == max(map(len, parts), default=0)
