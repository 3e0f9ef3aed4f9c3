"""A lot at a time: sorted, and nobody waits for ever."""

from rerank.engines.lots import BATCHES, Lots


def longest_first(tokens):
    return Lots(tokens, lambda size: -size, lambda size: size)


def test_what_waits_comes_longest_first():
    lots = longest_first(100)
    for size in (3, 9, 1, 7):
        lots.add(size)
    assert lots.lot() == [9, 7, 3, 1]


def test_a_lot_is_finished_before_newcomers_have_their_turn():
    lots = longest_first(100)
    lots.add(1)
    assert lots.lot() == [1]
    lots.add(50)
    assert lots.lot() == [1]
    lots.lot().clear()
    assert lots.lot() == [50]


def test_the_shortest_is_served_however_many_longer_ones_come():
    lots, served = longest_first(10), []
    lots.add(1)
    for _ in range(100):
        lots.add(9)
        served.append(lots.lot().pop(0))
    assert 1 in served[:3]


def test_a_lot_holds_so_many_batches_and_at_least_one_request():
    lots = longest_first(10)
    for _ in range(2 * BATCHES):
        lots.add(10)
    assert len(lots.lot()) == BATCHES
    giant = longest_first(1)
    giant.add(10**6)
    giant.add(2)
    assert giant.lot() == [10**6]


def test_what_is_not_wanted_is_forgotten_wherever_it_waits():
    lots = longest_first(1)
    lots.add(40)
    lots.lot()
    for size in (2, 3):
        lots.add(size)
    lots.keep(lambda size: size == 3)
    assert lots.lot() == [3]
    lots.clear()
    assert lots.lot() == []
