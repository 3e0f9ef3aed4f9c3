"""Lucene's English analysis: from a text to the terms that an index holds.

The chain is that of Lucene 9 as Anserini runs it: words by the Unicode rules
(StandardTokenizer, UAX#29), possessives off, lower case, stop words out, Porter's
stems. Every step gives what Lucene gives, character by character, so that
published BM25 figures come out again; what remains different is the two quote
rules for Hebrew letters (WB7a-c), variation selectors in odd places of an emoji,
and letters that Unicode gained after version 12.1, which Lucene skips. It knows
no document, no query and no index.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from rerank.errors import extra
from rerank.retrieve.porter import stem

LONGEST = 255
"""Characters of a word at most: Lucene cuts a longer one and reads on."""

_STOP_WORDS = """
a an and are as at be but by for if in into is it no not of on or such that the
their then there these they this to was will with
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Lucene's EnglishAnalyzer.ENGLISH_STOP_WORDS_SET, 33 words."""

# The rules below on ASCII alone, where Python's own `re` is seven times as fast.
_ASCII = re.compile(r"_*+(?:(?:[A-Za-z]++(?:[.:'][A-Za-z]++)*+|[0-9]++(?:[.,;'][0-9]++)*+)++_*+)++")

# Later versions of Unicode count these symbols as letters (Lucene's 12.1 does not) ...
_NOT_LETTERS = r"\u00B8\u02E5-\u02EB\u055A\u058A\uA708-\uA716"
# ... and no longer count these as pictographs (Lucene's 12.1 does).
_PICTOGRAPHS = (
    r"\u2388\u2605\u2607-\u2612\u2614-\u2685\u2690-\u2705\u2708-\u2712\u2763-\u2767"
    r"\U0001F000-\U0001F0FF\U0001F10D-\U0001F10F\U0001F12F\U0001F16C-\U0001F171"
    r"\U0001F1AD-\U0001F1E5\U0001F201-\U0001F20F\U0001F249-\U0001F3FA\U0001F546-\U0001F64F"
)


def analyse(text: str) -> list[str]:
    """The terms of a text, in its order, as often as they stand in it."""
    return [term for word in words(text) if (term := _term(word))]


def fingerprint() -> str:
    """What the terms hang on: an index made under another fingerprint holds other terms."""
    return f"lucene-english 1, regex {extra('regex', 'eval').__version__}"


def words(text: str) -> list[str]:
    """The words of a text as Lucene's StandardTokenizer finds them: also numbers and emoji."""
    pattern = _ASCII if text.isascii() else _unicode()
    found: list[str] = pattern.findall(text)
    return found if max(map(len, found), default=0) <= LONGEST else list(_cut(text, pattern))


def _cut(text: str, pattern: Any) -> Iterator[str]:
    """The words of a text through Lucene's buffer, which shows `LONGEST` characters at a time."""
    start = 0
    while found := pattern.search(text, start):
        start = found.start()
        if (seen := pattern.match(text, start, start + LONGEST)) is None:
            start += 1  # underscores as far as the buffer goes
        else:
            yield seen.group()
            start = seen.end()


@cache
def _unicode() -> Any:
    """UAX#29 as Lucene's StandardTokenizerImpl.jflex (9.9) writes it, over Unicode's classes.

    A mark belongs to the character before it (WB4); letters join letters, digits
    and, with one of .:' and the like between, letters (WB5-7, 9, 10); digits join
    digits, also over .,;' and the like (WB8, 11, 12); Katakana joins Katakana (WB13); the
    underscore joins all of them (WB13a, 13b). South East Asian scripts stay in one
    run, every Han and Hiragana character is a word, and so is every emoji (WB3c, 15).
    """
    mark = r"[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]*+"

    def run(kind: str) -> str:
        return f"(?>(?:{kind}++{mark})+)"

    letters = run(rf"[[\p{{WB=ALetter}}\p{{WB=Hebrew_Letter}}]--[{_NOT_LETTERS}]]")
    digits = run(r"[\p{WB=Numeric}\uFF10-\uFF19]")
    joins = run(r"\p{WB=ExtendNumLet}")
    in_word = rf"[\p{{WB=MidLetter}}\p{{WB=MidNumLet}}']{mark}"
    in_number = rf"[\p{{WB=MidNum}}\p{{WB=MidNumLet}}']{mark}"
    mixed = f"(?:{letters}(?:{in_word}{letters})*+|{digits}(?:{in_number}{digits})*+)++"
    katakana = run(r"\p{WB=Katakana}")
    part = f"(?:{katakana}|{mixed})"
    picture = rf"[\p{{Extended_Pictographic}}{_PICTOGRAPHS}]{mark}"
    kinds = [
        f"{joins}?+{part}(?:{joins}{part})*+{joins}?+",
        run(r"\p{LB=SA}"),
        rf"[\p{{Script=Han}}\p{{Script=Hiragana}}]{mark}",
        rf"\u200d*{picture}(?:(?<=\u200d){picture})*",
        rf"\p{{WB=RI}}{mark}\p{{WB=RI}}{mark}",
        rf"[#*]\uFE0F?\u20E3{mark}|\p{{Emoji_Modifier}}{mark}",
    ]
    regex = extra("regex", "eval")
    return regex.compile("|".join(kinds), regex.V1)


@lru_cache(maxsize=1 << 20)
def _term(word: str) -> str:
    """What the index holds for a word; empty for a stop word."""
    if len(word) > 1 and word[-2] in "'\u2019\uff07" and word[-1] in "sS":
        word = word[:-2]
    # Java lowers one character at a time: no final sigma, and one character for İ.
    word = word.lower() if word.isascii() else "".join(c.lower()[0] for c in word)
    return "" if word in STOP_WORDS else stem(word)
