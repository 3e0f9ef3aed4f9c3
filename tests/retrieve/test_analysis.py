"""Expected words and terms are those of Lucene 9.9.1 through Anserini's English analyzer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank.retrieve.analysis import LONGEST, STOP_WORDS, analyse, words

RULES = [
    ("WB4: a mark stays with its letter", "cafe\u0301 na\u00efve", ["cafe\u0301", "na\u00efve"]),
    ("WB4: a soft hyphen or joiner too", "co\u00adop a\u200db", ["co\u00adop", "a\u200db"]),
    ("WB6, WB7: one quote between letters", "can't 'quoted' o'", ["can't", "quoted", "o"]),
    ("WB6, WB7: also a curly one", "it\u2019s", ["it\u2019s"]),
    ("WB6, WB7: a full stop", "e.g. U.S.A. word.Next", ["e.g", "U.S.A", "word.Next"]),
    ("WB6, WB7: colon and middle dot", "a:b c\u00b7d", ["a:b", "c\u00b7d"]),
    ("WB6, WB7: not two in a row", "''twice'' a..b", ["twice", "a", "b"]),
    ("WB9, WB10: letters and digits", "10am H2O p53 IL-2", ["10am", "H2O", "p53", "IL", "2"]),
    ("WB11, WB12: digits over . , ; '", "3.14 1,000 1;2 1'2", ["3.14", "1,000", "1;2", "1'2"]),
    ("WB11, WB12: not over a colon", "3:4 1-2 p<0.05", ["3", "4", "1", "2", "p", "0.05"]),
    ("WB11, WB12: not beside a letter", "3.a a.3 x,y", ["3", "a", "a", "3", "x", "y"]),
    ("WB13: Katakana", "\u30a8\u30f3\u30b8\u30f3", ["\u30a8\u30f3\u30b8\u30f3"]),
    ("WB13a, WB13b: the underscore", "foo_bar __init__ ___", ["foo_bar", "__init__"]),
    ("WB15: two flags", "\U0001f1fa\U0001f1f8\U0001f1ec\U0001f1e7", ["🇺🇸", "🇬🇧"]),
    ("WB3c: an emoji of three", "👨\u200d👩\u200d👧😀😀", ["👨\u200d👩\u200d👧", "😀", "😀"]),
    (
        "WB4: skin and keycap",
        "👍🏽 1\ufe0f\u20e3 #\ufe0f\u20e3",
        ["👍🏽", "1\ufe0f\u20e3", "#\ufe0f\u20e3"],
    ),
    ("pictographs, not other symbols", "© ™ ★ ☎ → € ° ± ²", ["©", "™", "★", "☎"]),
    ("number letters, not fractions", "x² ½ Ⅷ \u00b8 µm", ["x", "Ⅷ", "µm"]),
    ("Han and Hiragana: one each", "中文 ひら", ["中", "文", "ひ", "ら"]),
    ("Hangul: letters", "한국어 검색", ["한국어", "검색"]),
    ("South East Asian: one run", "ภาษาไทย", ["ภาษาไทย"]),
    ("wide and other digits", "\uff11\uff12 ٣\u066b٤", ["\uff11\uff12", "٣\u066b٤"]),
    ("addresses fall apart", "@user a@b.com x.org/c?d", ["user", "a", "b.com", "x.org", "c", "d"]),
]


@pytest.mark.parametrize(("rule", "text", "expected"), RULES, ids=[rule[0] for rule in RULES])
def test_words_are_those_of_lucene(rule: str, text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(alphabet="ab1_.,;:'\" \n-#S", max_size=40))
def test_a_text_of_ascii_has_the_same_words_by_both_patterns(text: str) -> None:
    assert words(f"{text} é") == [*words(text), "é"]


def test_a_word_longer_than_lucenes_buffer_is_cut() -> None:
    assert [len(word) for word in words("a" * 600)] == [LONGEST, LONGEST, 90]
    assert words("é" * LONGEST + "x") == ["é" * LONGEST, "x"]


def test_a_cut_never_ends_in_punctuation() -> None:
    assert words("1" * 254 + ".2") == ["1" * 254, "2"]


def test_underscores_that_fill_the_buffer_are_skipped_until_a_letter_shows() -> None:
    assert words("_" * 300 + "a") == ["_" * 254 + "a"]


@pytest.mark.parametrize("quote", ["'", "\u2019", "\uff07"])
def test_a_possessive_goes_whatever_its_quote_and_case(quote: str) -> None:
    assert analyse(f"dog{quote}s CAT{quote}S") == ["dog", "cat"]


def test_a_quote_at_the_end_is_no_possessive() -> None:
    assert analyse("the dogs' 's") == ["dog", "s"]


def test_stop_words_go_after_possessives_and_lower_case() -> None:
    assert analyse("It's NOT the The THE's") == []
    assert len(STOP_WORDS) == 33


def test_lower_case_is_made_letter_by_letter_as_java_does() -> None:
    assert analyse("ΟΔΟΣ \u0130stanbul \u1e9e") == ["οδοσ", "istanbul", "ß"]


def test_terms_keep_their_order_and_number() -> None:
    assert analyse("Foxes, and a fox's den; foxes") == ["fox", "fox", "den", "fox"]


@given(st.text())
def test_the_words_of_any_text_stand_in_it_in_their_order(text: str) -> None:
    position = 0
    for word in words(text):
        position = text.index(word, position) + len(word)
    assert all(analyse(text))
