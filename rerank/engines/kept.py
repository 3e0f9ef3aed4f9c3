"""The ids of texts that were tokenised before: those used last, bounded by their tokens.

A text is tokenised once however often it is asked for, and those that are new in one call, so that
a tokenizer can take them side by side.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

Ids: TypeAlias = Sequence[int]
TOKENS = 1 << 23  # of a half; each takes eight bytes


class Kept:
    """Two halves, and what is used is in the newer: once that is full it becomes the older."""

    def __init__(self, spell: Callable[[list[str]], Iterable[Ids]], most: int = TOKENS) -> None:
        self._spell, self._most, self._size = spell, most, 0
        self._newer: dict[str, Ids] = {}
        self._older: dict[str, Ids] = {}

    def ids(self, texts: Sequence[str]) -> Iterable[Ids]:
        """The ids of each text."""
        if not all(map(self._newer.__contains__, texts)):
            self._learn(texts)
        return map(self._newer.__getitem__, texts)

    def _learn(self, texts: Sequence[str]) -> None:
        if self._size > self._most:
            self._newer, self._older, self._size = {}, self._newer, 0
        wanted = [text for text in dict.fromkeys(texts) if text not in self._newer]
        found = {text: self._older.pop(text) for text in wanted if text in self._older}
        if new := [text for text in wanted if text not in found]:
            found |= zip(new, self._spell(new), strict=True)
        self._newer |= found
        self._size += sum(map(len, found.values()))
