"""A document's text as a prompt may show it: on one line, harmless, and cut to size.

Whatever a document or a query says, it cannot change the form of a prompt. This module knows
text only, no template and no model.
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from rerank.records import Doc

NAMES = (
    *("s", "bos", "eos", "pad", "unk", "think", "answer", "start_of_turn", "end_of_turn"),
    *(r"unused\d{1,5}", r"extra_id_\d{1,4}", r"SPECIAL_\d{1,4}"),
)
FORMS = (
    r"<(?=\|[^|<>\s]{1,40}\|>)",
    r"<(?=\uff5c[^\uff5c<>]{1,40}\uff5c>)",  # DeepSeek's, with full-width bars
    rf"<(?=/?(?:{'|'.join(NAMES)})>)",
    r"\[(?=/?INST\])",
)
"""How control tokens look whatever the model: each finds the part to break off, and looks ahead."""
FORM = re.compile("|".join(FORMS))

UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # kana, CJK ideographs, hangul
LETTER = re.compile(f"[{UNSPACED}]")
LONGEST = 40  # characters of a word
WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]{{1,{LONGEST}}}")
SHORT_WORDS = re.compile(rf"(?:\S{{1,{LONGEST}}}+ )*+\S{{1,{LONGEST}}}+")
IDENTIFIER = re.compile(r"\[\s*(\d+|[A-Z]{1,2})\s*\]")
BRACKETED = re.compile(r"[\[\uff3b]\s*([^\s\[\]\uff3b\uff3d]+)\s*[\]\uff3d]")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef]")
HEADING = re.compile(r"\b((?i:passage|document))\s*(\d+|(?<!\w)[A-Z])\s*[:=\uff1a]")


Cut: TypeAlias = Callable[[str, int], tuple[str, int, int]]
"""The start of a text up to so many units, how many it has, and how many were left out."""


def first_words(text: str, limit: int) -> tuple[str, int, int]:
    """Cut at words.

    A word is what stands between spaces, at most 40 characters of it; in scripts that use no
    spaces, a character.
    """
    letters = None if text.isascii() else LETTER.search(text)
    if letters or not SHORT_WORDS.fullmatch(text):
        return _first_found(text, limit)
    words = text.count(" ") + 1
    if words <= limit:
        return text, words, 0
    left_out = text.split(None, limit)[-1]
    return text[: len(text) - len(left_out)].rstrip(), limit, words - limit


def _first_found(text: str, limit: int) -> tuple[str, int, int]:
    """The same for any text, at the price of a look at every word."""
    ends = [match.end() for match in WORD.finditer(text)]
    if len(ends) <= limit:
        return text, len(ends), 0
    return text[: ends[limit - 1]] if limit else "", limit, len(ends) - limit


class Passage(NamedTuple):
    """What is shown of a document: `words` of it, in `size` bytes, after `cut` were left out."""

    text: str
    title: str
    content: str
    words: int
    size: int
    cut: int


@functools.lru_cache(maxsize=16384)
def passage(
    doc: Doc,
    limit: int,
    control: tuple[str, ...] = (),
    bare: bool = False,
    first: Cut = first_words,
) -> Passage:
    """The first `limit` words of a document; `content` has its title, as RankGPT writes it.

    algorithms.md section 2.5: "Title: ... Content: ..." where there is a title; `bare` leaves out
    these two words. Where `first` cuts at tokens, all words here are tokens.
    """
    title, text = doc.title and clean(doc.title, control), clean(doc.text, control)
    named = f"{title} {text}" if bare else f"Title: {title} Content: {text}"
    whole = named if title else text
    content, words, cut = first(whole, limit)
    if cut:
        text = first(text, limit)[0] if title else content
        title = first(title, limit)[0]
    return Passage(text, title, content, words, len(content.encode()), cut)


def clean(text: str, control: tuple[str, ...] = ()) -> str:
    """One line, harmless, and nothing in it that looks like an identifier of a prompt."""
    text = _broken_up(_on_one_line(text), control)
    if "[" in text or "\uff3b" in text:  # told sooner than by a pattern that needs one of them
        text = BRACKETED.sub(_round, text)
    headed = ":" in text or "=" in text or "\uff1a" in text
    return HEADING.sub(r"\1 (\2)", text) if headed else text


def _on_one_line(text: str) -> str:
    """Its words with one space between two, and one for what is not printable, which most texts
    are already: that is told sooner."""
    if text.isprintable() and "  " not in text:  # no white space is printable but this
        return text.strip()
    return UNPRINTABLE.sub(" ", " ".join(text.split()))


def _round(found: re.Match[str]) -> str:
    """In round brackets, if it would be an identifier in ordinary, visible letters and digits."""
    plain = unicodedata.normalize("NFKC", found[0])
    visible = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    named = IDENTIFIER.fullmatch(visible)
    return f"({found[1]})" if named else found[0]


def harmless(text: str, control: tuple[str, ...] = ()) -> str:
    """No control characters and no control tokens; nothing that cannot be written as UTF-8."""
    return _broken_up(text if text.isprintable() else UNPRINTABLE.sub(" ", text), control)


def _broken_up(text: str, control: tuple[str, ...]) -> str:
    """With a space in every control token, so that no tokenizer reads it as one."""
    starts, tokens = _tokens(control)
    return tokens.sub(r"\g<0> ", text) if any(map(text.__contains__, starts)) else text


@functools.lru_cache(maxsize=64)
def _tokens(control: tuple[str, ...]) -> tuple[frozenset[str], re.Pattern[str]]:
    """How a control token can start, and its first part: by its form, or as an engine spells it."""
    own = sorted(formless(control), key=len, reverse=True)
    starts = frozenset(["<", "[", *(token[0] for token in own)])
    return starts, re.compile("|".join((*FORMS, *map(_broken, own))))


def formless(control: Iterable[str]) -> list[str]:
    """Those of these control tokens that no form tells; the others are broken up in any case."""
    return sorted({token for token in control if token and not FORM.match(token)})


def _broken(token: str) -> str:
    """A pattern of where a token breaks: after its first character, or before its colon."""
    broken = 1 if not token.endswith(":") else len(token) - 1
    return f"{re.escape(token[:broken])}(?={re.escape(token[broken:])})"
