"""Places instead of documents: one batch, and equal documents stay two."""

from play import always_last, by_value, play

from rerank.questions import AsShown, Order, undecided
from rerank.strategies.places import order_places


def test_groups_go_out_as_one_batch_and_come_back_as_places_best_first():
    orders, batches = play(order_places("dbca", [[0, 1], [3, 2, 1]]), by_value(ord))
    assert orders == [[0, 1], [2, 1, 3]]
    assert batches == [[Order(("d", "b")), Order(("a", "c", "b"))]]


def test_a_group_of_one_and_no_group_ask_nothing():
    assert play(order_places("ab", [[1], [], [0]]), always_last) == ([[1], [], [0]], [])
    assert play(order_places("ab", []), always_last) == ([], [])
    orders, batches = play(order_places("abc", [[2], [0, 1]]), always_last)
    assert (orders, batches) == ([[2], [1, 0]], [[Order(("a", "b"))]])


def test_equal_documents_keep_the_order_in_which_they_were_shown():
    orders, _ = play(order_places([1, 2, 1, 2], [[3, 2, 1, 0]]), by_value(float))
    assert orders == [[3, 1, 2, 0]]


def test_an_order_that_nobody_decided_is_known_for_one():
    [order], _ = play(order_places("abc", [[2, 0, 1]]), undecided)
    assert order == [2, 0, 1] and isinstance(order, AsShown)
    [order], _ = play(order_places("abc", [[2, 0, 1]]), lambda question: list(question.docs))
    assert order == [2, 0, 1] and not isinstance(order, AsShown)
