"""Where a prompt was put together, so that a tokenizer need read each passage only once.

A field of a template carries marks when it is written out. They are taken away again, and what
stays is where each field stood, widened to white space: there tokenizers seldom join.
"""

from functools import lru_cache

OPEN, CLOSE = "\ufdd0", "\ufdd1"  # Unicode noncharacters; passages are rid of them


class Field(str):
    """A text that is marked when a template writes it out, and otherwise is what it is."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{OPEN}{super().__str__()}{CLOSE}"


def taken_apart(marked: str) -> tuple[str, tuple[int, ...]]:
    """A rendered text without its marks, and where to cut it, in rising order."""
    literal, *marked_fields = marked.split(OPEN)
    pieces, seams, end = [literal], set(), len(literal)
    for marked_field in marked_fields:
        field, _, after = marked_field.partition(CLOSE)
        seams.add(end - back(literal))
        end += len(field)
        seams.add(end + on(after))
        end += len(after)
        pieces += (field, after)
        literal = after
    return "".join(pieces), tuple(sorted(seams - {0, end}))


@lru_cache(4096)
def back(literal: str) -> int:
    """How far back from a field: over a quotation mark, and over the space before it."""
    start = len(literal)
    while start > 0 and not literal[start - 1].isspace():
        start -= 1
    return len(literal) - (start - 1 if start > 0 and literal[start - 1] == " " else start)


@lru_cache(4096)
def on(literal: str) -> int:
    """How far on from a field: over a quotation mark, and over the line's end."""
    end = 0
    while end < len(literal) and not literal[end].isspace():
        end += 1
    while end < len(literal) and literal[end] == "\n":
        end += 1
    return end
