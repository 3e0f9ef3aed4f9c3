"""Ids that are kept: each text is tokenised once, until others have taken its place."""

from threading import Event, current_thread, main_thread

from rerank.engines.tokenisation.kept import AHEAD, MEANWHILE, Kept


def counting(most=100):
    asked = []

    def spell(texts):
        asked.append(list(texts))
        return [tuple(map(ord, text)) for text in texts]

    return Kept(spell, most), asked


def test_what_is_new_is_tokenised_in_one_call_and_each_text_once():
    kept, asked = counting()
    assert list(kept.ids(["b", "a", "b"])) == [(98,), (97,), (98,)]
    assert list(kept.ids(["a", "c"])) == [(97,), (99,)]
    assert list(kept.ids(["c", "a"])) == [(99,), (97,)]
    assert asked == [["b", "a"], ["c"]]


def test_nothing_is_asked_of_no_texts():
    kept, asked = counting()
    assert list(kept.ids([])) == asked == []


def test_what_is_used_stays_and_what_is_not_goes():
    kept, asked = counting(most=3)
    for step in range(20):
        list(kept.ids(["used", f"once{step}"]))
    assert [texts for texts in asked if "used" in texts] == [["used", "once0"]]
    list(kept.ids(["once0"]))
    assert asked[-1] == ["once0"]


def test_what_is_expected_is_tokenised_meanwhile_and_once():
    kept, asked = counting()
    kept.expect(["a", "b", "a"])
    kept.expect(["b", "c"])
    for coming in list(kept._coming.values()):
        coming.ids.result()
    assert asked == [["a", "b"], ["c"]]
    assert list(kept.ids(["c", "d", "a"])) == [(99,), (100,), (97,)]
    assert asked == [["a", "b"], ["c"], ["d"]]
    kept.expect("abcd")
    assert not kept._coming


def test_what_no_thread_has_begun_is_taken_back_and_the_others_are_expected_anew():
    kept, asked = counting()
    begin = Event()
    MEANWHILE.submit(begin.wait)
    kept.expect(["a", "b"])
    assert list(kept.ids(["a"])) == [(97,)] and asked == [["a"]]
    begin.set()
    kept._coming["b"].ids.result()
    assert list(kept.ids(["b"])) == [(98,)] and asked == [["a"], ["b"]]


def test_what_the_thread_cannot_tokenise_is_tokenised_when_it_is_asked_for():
    def spell(texts):
        if current_thread() is not main_thread():
            raise ValueError
        return [(1,) for _ in texts]

    kept = Kept(spell)
    kept.expect(["a"])
    kept._coming["a"].ids.exception()
    assert list(kept.ids(["a"])) == [(1,)]


def test_no_more_is_expected_than_can_be_kept_for_long():
    kept, _ = counting()
    for start in range(0, 2 * AHEAD, AHEAD // 2):
        kept.expect([str(number) for number in range(start, start + AHEAD // 2)])
    assert len(kept._coming) == AHEAD
    kept.expect(["the last"])
    assert "the last" in kept._coming and "0" not in kept._coming
