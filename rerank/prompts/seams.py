"""Where a prompt was put together, so that a tokenizer need read each passage only once.

A field of a template carries marks when it is written out. They are taken away again, and what
stays is where each field stood, widened to white space: there tokenizers seldom join.
"""

import re

OPEN, CLOSE = "\ufdd0", "\ufdd1"  # Unicode noncharacters; passages are rid of them
_MARKS = re.compile(f"[{OPEN}{CLOSE}]")


class Field(str):
    """A text that is marked when a template writes it out, and otherwise is what it is."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{OPEN}{super().__str__()}{CLOSE}"


def taken_apart(marked: str) -> tuple[str, tuple[int, ...]]:
    """A rendered text without its marks, and where to cut it, in rising order."""
    literal, *rest = _MARKS.split(marked)
    text = _MARKS.sub("", marked) if rest else marked
    seams: list[int] = []
    end = len(literal)
    for field, after in zip(rest[::2], rest[1::2], strict=True):
        start, end = end, end + len(field)
        seams += [_before(text, start), _after(text, end)]
        end += len(after)
    return text, tuple(sorted({seam for seam in seams if 0 < seam < len(text)}))


def _before(text: str, start: int) -> int:
    """Back over a quotation mark, and over the space before it."""
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    return start - 1 if start > 0 and text[start - 1] == " " else start


def _after(text: str, end: int) -> int:
    """On over a quotation mark, and over the line's end."""
    while end < len(text) and not text[end].isspace():
        end += 1
    while end < len(text) and text[end] == "\n":
        end += 1
    return end
