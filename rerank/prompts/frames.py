"""What a template writes around its fields, so that the next question need only fill them in.

A frame stands for its template only where that writes its fields and looks at none of them, so a
field is a hole here, and whatever a template does to a hole but write it ends the frame.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from rerank.prompts.seams import CLOSE, OPEN, back, on
from rerank.prompts.templates import outline


class _Looked(Exception):
    pass


class Hole:
    """Where the field of this number goes."""

    def __init__(self, number: int) -> None:
        self.number = number

    def _looked(self, *_: object) -> Any:
        raise _Looked

    __bool__ = __eq__ = __hash__ = __len__ = __iter__ = __getattr__ = _looked
    __str__ = __repr__ = __lt__ = __gt__ = __le__ = __ge__ = __contains__ = _looked


class Frame(NamedTuple):
    """The text before the first hole, and each hole with the text that comes after it.

    Of a text, `back` characters before a hole and `on` behind it go with its field.
    """

    first: str
    holes: tuple[int, ...]
    texts: tuple[str, ...]
    around: tuple[tuple[int, int, int], ...]  # back, on, the length of the text after

    def filled(self, fields: Sequence[str]) -> tuple[str, tuple[int, ...]]:
        """The whole text, and where it was put together, in rising order."""
        if len(self.holes) < 2:
            return self._short(fields) if self.holes else (self.first, ())
        pieces = [self.first] * (2 * len(self.holes) + 1)
        shown = [fields[hole] for hole in self.holes]
        pieces[1::2], pieces[2::2] = shown, self.texts
        seams, end = set(), len(self.first)
        for field, (before, behind, after) in zip(shown, self.around, strict=True):
            seams.add(end - before)
            end += len(field)
            seams.add(end + behind)
            end += after
        return "".join(pieces), tuple(sorted(seams - {0, end}))

    def closed(self, number: int, field: str) -> "Frame":
        """The same around all other fields: this one is written into it."""
        first, holes, texts = self.first, list[int](), list[str]()
        for hole, after in zip(self.holes, self.texts, strict=True):
            if hole != number:
                holes.append(hole)
                texts.append(after)
            elif texts:
                texts[-1] += field + after
            else:
                first += field + after
        return _around(first, holes, texts)

    def _short(self, fields: Sequence[str]) -> tuple[str, tuple[int, ...]]:
        """The same with one hole, as each turn of a conversation about passages has."""
        field, [after], [(before, behind, _)] = fields[self.holes[0]], self.texts, self.around
        opens = len(self.first) - before
        text, closes = self.first + field + after, len(self.first) + len(field) + behind
        seams = (opens, closes) if opens < closes else (opens,)
        return text, tuple(seam for seam in seams if 0 < seam < len(text))


def frame(template: str, fields: Mapping[str, Any]) -> Frame | None:
    """The frame of a template whose fields are holes, or None where it has none."""
    try:
        marked = outline(template, fields, lambda it: _mark(it) if isinstance(it, Hole) else it)
    except Exception:  # a template can do anything; with its fields it says what is wrong
        return None
    first, *rest = marked.split(OPEN)
    holes, texts = zip(*(each.split(CLOSE) for each in rest), strict=True) if rest else ((), ())
    return _around(first, list(map(int, holes)), texts)


def _around(first: str, holes: Sequence[int], texts: Sequence[str]) -> Frame:
    around = [(back(before), on(after), len(after)) for before, after in pairwise([first, *texts])]
    return Frame(first, tuple(holes), tuple(texts), tuple(around))


def _mark(hole: Hole) -> str:
    return f"{OPEN}{hole.number}{CLOSE}"
