"""The ids of texts that were tokenised before: those used last, bounded by their tokens.

A text is tokenised once however often it is asked for, and those that are new in one call, so that
a tokenizer can take them side by side. What is expected is tokenised in a thread meanwhile, and
what that thread has not begun when it is asked for is taken back from it.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeAlias

Ids: TypeAlias = Sequence[int]
TOKENS = 1 << 23  # of a half; each takes eight bytes
AHEAD = 1 << 14  # texts that may be expected at a time
MEANWHILE = ThreadPoolExecutor(1, "tokenise")


class _Coming(NamedTuple):
    """Texts that are tokenised in a thread."""

    texts: list[str]
    ids: Future[list[Ids]]


class Kept:
    """Two halves, and what is used is in the newer: once that is full it becomes the older."""

    def __init__(self, spell: Callable[[list[str]], Iterable[Ids]], most: int = TOKENS) -> None:
        self._spell, self._most, self._size = spell, most, 0
        self._newer: dict[str, Ids] = {}
        self._older: dict[str, Ids] = {}
        self._coming: dict[str, _Coming] = {}

    def ids(self, texts: Sequence[str]) -> Iterable[Ids]:
        """The ids of each text."""
        if not all(map(self._newer.__contains__, texts)):
            self._learn(texts)
        return map(self._newer.__getitem__, texts)

    def expect(self, texts: Iterable[str]) -> None:
        """These will be asked for: what is new is tokenised meanwhile.

        Whoever expected them may have been given up: beyond AHEAD the oldest are forgotten.
        """
        known = (self._newer, self._older, self._coming)
        new = [text for text in dict.fromkeys(texts) if not any(text in it for it in known)]
        if not new:
            return
        while self._coming and len(self._coming) + len(new) > AHEAD:
            self._took(next(iter(self._coming.values()))).ids.cancel()
        coming = _Coming(new, MEANWHILE.submit(lambda: list(self._spell(new))))
        self._coming |= dict.fromkeys(new, coming)

    def _learn(self, texts: Sequence[str]) -> None:
        if self._size > self._most:
            self._newer, self._older, self._size = {}, self._newer, 0
        wanted = [text for text in dict.fromkeys(texts) if text not in self._newer]
        found = {text: self._older.pop(text) for text in wanted if text in self._older}
        found |= self._arrived([text for text in wanted if text in self._coming])
        if new := [text for text in wanted if text not in found]:
            found |= zip(new, self._spell(new), strict=True)
        self._newer |= found
        self._size += sum(map(len, found.values()))

    def _arrived(self, texts: list[str]) -> dict[str, Ids]:
        """What the thread has tokenised together with these, or is at; of what it has not begun
        the others are expected anew."""
        found: dict[str, Ids] = {}
        for coming in {id(it): it for it in map(self._coming.__getitem__, texts)}.values():
            if self._took(coming).ids.cancel():
                self.expect(set(coming.texts).difference(texts))
            elif not coming.ids.exception():
                found |= zip(coming.texts, coming.ids.result(), strict=True)
        return found

    def _took(self, coming: _Coming) -> _Coming:
        """These are expected no more."""
        for text in coming.texts:
            del self._coming[text]
        return coming
