"""Ids that are kept: each text is tokenised once, until others have taken its place."""

from rerank.engines.kept import Kept


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
