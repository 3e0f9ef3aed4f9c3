"""Where a prompt was put together, so that a tokenizer need read each passage only once.

A field of a template carries marks when it is written out. They are taken away again, and what
stays is where each field stood, widened to white space: there tokenizers seldom join.
"""

OPEN, CLOSE = "\ufdd0", "\ufdd1"  # Unicode noncharacters; passages are rid of them


class Field(str):
    """A text that is marked when a template writes it out, and otherwise is what it is."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{OPEN}{super().__str__()}{CLOSE}"


def taken_apart(marked: str) -> tuple[str, tuple[int, ...]]:
    """A rendered text without its marks, and where to cut it, in rising order."""
    literal, *marked_fields = marked.split(OPEN)
    pieces, spans, end = [literal], [], len(literal)
    for marked_field in marked_fields:
        field, _, after = marked_field.partition(CLOSE)
        spans.append((end, end + len(field)))
        pieces += [field, after]
        end += len(field) + len(after)
    text = "".join(pieces)
    seams = {cut for start, stop in spans for cut in (_before(text, start), _after(text, stop))}
    return text, tuple(sorted(seams - {0, len(text)}))


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
