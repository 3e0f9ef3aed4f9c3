"""A prompt's token ids, put together from parts that were tokenised before.

Tokenising a window of twenty passages takes milliseconds; looking its parts up takes
microseconds. The ids are those of the whole text: where a tokenizer joins the end of one part
with the start of the next, the two are tokenised as one.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache

ANCHOR = "\n"
REACH = 24  # characters on each side of a joint that decide whether a tokenizer joins across it
PARTS = 1 << 16  # parts that are kept, and joints


class Assembly:
    """Tokenises text that is given in parts; `encode` takes a text and adds no special tokens."""

    def __init__(self, encode: Callable[[str], Sequence[int]]) -> None:
        self._encode = encode
        self._ids = lru_cache(PARTS)(self._part)
        self._joined = lru_cache(PARTS)(self._joins)

    @cached_property
    def _anchor(self) -> list[int]:
        return list(self._encode(ANCHOR))

    @cached_property
    def _dummy(self) -> bool:
        """Whether the start of a text is tokenised as if there were a space before it."""
        return list(self._encode(f"{ANCHOR}x"))[len(self._anchor) :] != list(self._encode("x"))

    def ids(self, parts: Sequence[str]) -> list[int]:
        """The ids of `"".join(parts)`."""
        first, *others = self._apart(parts)
        found, ids = [*self._ids(first, False)], self._ids
        for part in others:
            found += ids(part, True)
        return found

    def _apart(self, parts: Sequence[str]) -> list[str]:
        """The parts, with those glued together that a tokenizer would join.

        From the end on, so that each joint is judged with all that follows it up to the next.
        """
        kept = [part for part in parts if part] or [""]
        joined, after, glued = self._joined, kept[-1], []
        for place in range(len(kept) - 2, -1, -1):
            part = kept[place]
            left = self._left(kept, place) if self._dummy else part[-REACH:]
            if joined(left, after[:REACH]):
                after = part + after
            else:
                glued.append(after)
                after = part
        return [after, *glued[::-1]]

    def _left(self, parts: Sequence[str], place: int) -> str:
        """What stands before a joint. SentencePiece merges without regard to words, so there what
        is before a short part counts too."""
        left = parts[place][-REACH:]
        while len(left) < REACH and place > 0:
            place -= 1
            left = (parts[place] + left)[-REACH:]
        return left

    def _joins(self, tail: str, head: str) -> bool:
        """Whether what stands on both sides of a joint is tokenised otherwise when it is one.

        Inside a word that may depend on more than is in reach, so there it always counts as so.
        """
        if not (tail[-1].isspace() or head[0].isspace()):
            return True
        apart = [*self._part(tail, False), *self._part(head, True)]
        return apart != [*self._part(tail + head, False)]

    def _part(self, text: str, inside: bool) -> tuple[int, ...]:
        """A part's ids: at the start of a text, or inside one.

        SentencePiece marks the start of a text with a space of its own, so what is inside is
        tokenised behind an anchor; where the two join, nothing is kept of it and so it is glued.
        """
        if not (inside and self._dummy):
            return tuple(self._encode(text))
        ids = list(self._encode(ANCHOR + text))
        if ids[: len(self._anchor)] != self._anchor:
            return (-1,)  # no id: any joint before it counts as joined
        return tuple(ids[len(self._anchor) :])
