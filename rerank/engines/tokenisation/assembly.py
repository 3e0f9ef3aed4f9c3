"""A prompt's token ids, put together from parts that were tokenised before.

Tokenising a window of twenty passages takes milliseconds; looking its parts up takes
microseconds. The ids are those of the whole text: where a tokenizer joins the end of one part
with the start of the next, the two are tokenised as one.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache, partial
from itertools import chain
from operator import itemgetter
from typing import Any, NewType, TypeAlias

from rerank.engines.tokenisation.kept import Ids, Kept

Spell: TypeAlias = Callable[[list[str]], Iterable[Ids]]
Apart = NewType("Apart", list[str])
"""Parts that no tokenizer joins, at least one; long ones are cut where a space allows it."""

ANCHOR = "\n"
LENGTH = 512  # characters: a longer part is cut, so that one that is cut short later begins alike
REACH = 24  # characters on each side of a joint that decide whether a tokenizer joins across it
PARTS = 1 << 16  # parts whose ends are kept, and joints
FIRST = 1 << 10  # first parts that are kept
WORD = r"(?:\w|[^\w\s]+)?"
HEAD, TAIL = re.compile(rf"\s*{WORD}"), re.compile(rf"{WORD}\s*$")


class Assembly:
    """Tokenises text that is given in parts; `encode` takes a text and adds no special tokens.

    With the `backend` of a fast tokenizer it looks at less of a joint. Where that cuts a text into
    words first, nothing is joined across two of them, so the white space around a joint decides,
    and what is next to it. Of any other its vocabulary tells where it never joins. `spell`
    tokenises many texts in one call, if a tokenizer has a faster way for that.
    """

    def __init__(
        self,
        encode: Callable[[str], Sequence[int]],
        backend: Any = None,
        spell: Spell | None = None,
    ) -> None:
        self._encode, self._backend = encode, backend
        self._spell = spell or partial(map, encode)
        self._first = lru_cache(FIRST)(self._part)
        self._inside = Kept(self._alike)
        self._lengths = lru_cache(PARTS)(self._in_lengths)
        self._ends = lru_cache(PARTS)(self._edges)
        self._joined = lru_cache(PARTS)(self._joins)
        self._touch = lru_cache(PARTS)(self._may_join)
        self._opens = lru_cache(PARTS)(self._begins_a_word)

    def apart(self, given: Sequence[str]) -> Apart:
        """The parts, with those glued together that a tokenizer would join, and long ones cut."""
        lengths = Apart([])
        for part in self._glued([part for part in given if part] or [""]):
            lengths += self._lengths(part) if len(part) > LENGTH else (part,)
        return lengths

    def ids(self, parts: Apart) -> list[int]:
        """The ids of `"".join(parts)`."""
        first, *others = parts
        return [*self._first(first, False), *chain.from_iterable(self._inside.ids(others))]

    def learn(self, texts: Iterable[Apart]) -> None:
        """Tokenise in one call what is new in these texts, each given in parts."""
        self._inside.ids([part for parts in texts for part in parts[1:]])

    def expect(self, parts: Apart) -> None:
        """Parts inside texts to come: what is new in them is tokenised meanwhile."""
        self._inside.expect(parts[1:])

    def _glued(self, parts: list[str]) -> list[str]:
        """From the end on, so that each joint is judged with all that follows it up to the next."""
        ends = list(map(self._ends, parts))
        heads, tails = map(itemgetter(0), ends[1:]), map(itemgetter(1), ends)
        if not any(map(self._touch, tails, heads)):
            return parts
        after, glued = parts[-1], []
        for place in range(len(parts) - 2, -1, -1):
            if self._meets(parts, place, after):
                after = parts[place] + after
            else:
                glued.append(after)
                after = parts[place]
        return [after, *glued[::-1]]

    def _in_lengths(self, part: str) -> tuple[str, ...]:
        """A long part, cut before spaces, from its start on: what is left of it begins alike."""
        lengths, start = [], 0
        while start + LENGTH < len(part):
            end = part.rfind(" ", start + 1, start + LENGTH)
            if end < 0 or not self._opens(part[end - 1], part[end + 1]):
                break
            lengths.append(part[start:end])
            start = end
        return (*lengths, part[start:])

    def _alike(self, parts: list[str]) -> Iterable[Ids]:
        """The ids of parts inside a text, each tokenised as it is; equal ids are one object."""
        anchor = ANCHOR if self._dummy else ""
        for ids in self._spell([anchor + part for part in parts]):
            yield _same(self._behind(ids) if anchor else ids)

    def _edges(self, part: str) -> tuple[str, str]:
        """What of a part decides about the joint before it, and about the one after it."""
        if not self._words:
            return part[:1], part[-1:]
        opens = closes = ""
        if part.startswith(self._names):
            opens = next(filter(part.startswith, self._names))
        if part.endswith(self._names):
            closes = next(filter(part.endswith, self._names))
        return (
            opens if opens and self._alone(opens) else _head(part),
            closes if closes and self._alone(closes) else _tail(part),
        )

    def _begins_a_word(self, last: str, first: str) -> bool:
        """Whether a space between these two characters does, whatever is around them."""
        if last.isspace() or first.isspace():
            return False
        return not (self._touch(last, f" {first}" if self._words else " ") or self._spacious)

    def _may_join(self, tail: str, head: str) -> bool:
        """Whether parts that end and begin so are joined, or have to be looked at closer."""
        return self._joined(tail, head) if self._words else not self._never_joined(tail, head)

    def _meets(self, parts: Sequence[str], place: int, after: str) -> bool:
        """Whether the part at a place is joined with all that comes after it."""
        tail, head = self._ends(parts[place])[1], self._ends(after)[0]
        if self._words or not self._touch(tail, head):
            return self._touch(tail, head)
        return self._joined(self._left(parts, place), after[:REACH])

    def _left(self, parts: Sequence[str], place: int) -> str:
        """What stands before a joint; what is before a short part counts too."""
        left = parts[place][-REACH:]
        while len(left) < REACH and place > 0:
            place -= 1
            left = (parts[place] + left)[-REACH:]
        return left

    def _never_joined(self, last: str, first: str) -> bool:
        """Whether no piece of the vocabulary can hold these two characters, one after the other."""
        if first == " ":
            return self._spaces_open and not last.isspace()
        return last == "\n" and self._lines_close and not first.isspace()

    @cached_property
    def _spaces_open(self) -> bool:
        """Whether a space is only ever the first of a piece, or one of nothing but spaces."""
        return self._plain and not any(re.search("[^▁]▁", piece) for piece in self._pieces)

    @cached_property
    def _lines_close(self) -> bool:
        """Whether no piece goes on after the end of a line."""
        return self._plain and not any(re.search("\n[^\n]", piece) for piece in self._pieces)

    @cached_property
    def _pieces(self) -> list[str]:
        return list(self._backend.get_vocab()) if self._backend else []

    @cached_property
    def _plain(self) -> bool:
        """Whether this is SentencePiece, and a line's end is spelled as itself."""
        spelled = [list(self._encode(f"x{end}x")) for end in ("\n", " ", "")]
        return "▁" in self._pieces and spelled[0] not in spelled[1:]

    @cached_property
    def _added(self) -> dict[str, bool]:
        """The tokens that a text is cut at before all else; true for one that takes no space or
        word around it."""
        added = self._backend.get_added_tokens_decoder().values()
        return {it.content: not (it.lstrip or it.rstrip or it.single_word) for it in added}

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(filter(None, self._added))

    @cached_property
    def _spacious(self) -> bool:
        """Whether one of them may take in a space."""
        return any(" " in token or not apart for token, apart in self._added.items())

    def _alone(self, token: str) -> bool:
        """Whether this is such a token, and no other could take it in, or its first characters."""
        starts = tuple(token[:end] for end in range(1, len(token)))
        others = (other for other in self._added if other != token)
        known = self._added.get(token, False)
        return known and not any(token in it or it.endswith(starts) for it in others)

    @cached_property
    def _words(self) -> bool:
        """Whether a text is cut into words before anything is joined."""
        cuts = self._backend and self._backend.pre_tokenizer and not self._dummy
        return bool(cuts) and len(self._cut("x x")) > 1

    @cached_property
    def _anchor(self) -> list[int]:
        return list(self._encode(ANCHOR))

    @cached_property
    def _dummy(self) -> bool:
        """Whether the start of a text is tokenised as if there were a space before it."""
        return list(self._encode(f"{ANCHOR}x"))[len(self._anchor) :] != list(self._encode("x"))

    def _joins(self, tail: str, head: str) -> bool:
        """Whether what stands on both sides of a joint is tokenised otherwise when it is one.

        Inside a word that may depend on more than is in reach, so there it always counts as so.
        """
        if self._words and (self._alone(tail) or self._alone(head)):
            return False
        if not (tail[-1].isspace() or head[0].isspace()):
            return True
        if self._words:
            return [*self._cut(tail), *self._cut(head)] != [*self._cut(tail + head)]
        apart = [*self._part(tail, False), *self._part(head, True)]
        return apart != [*self._part(tail + head, False)]

    def _cut(self, text: str) -> list[str]:
        """The words that a tokenizer cuts a text into."""
        normal = self._backend.normalizer
        whole = normal.normalize_str(text) if normal else text
        return [word for word, _ in self._backend.pre_tokenizer.pre_tokenize_str(whole)]

    def _part(self, text: str, inside: bool) -> tuple[int, ...]:
        """A part's ids: at the start of a text, or inside one.

        SentencePiece marks the start of a text with a space of its own, so what is inside is
        tokenised behind an anchor; where the two join, nothing is kept of it and so it is glued.
        """
        if not (inside and self._dummy):
            return tuple(self._encode(text))
        return tuple(self._behind(self._encode(ANCHOR + text)))

    def _behind(self, ids: Ids) -> Ids:
        """What is behind the anchor, of the ids of both."""
        if list(ids[: len(self._anchor)]) != self._anchor:
            return (-1,)  # no id: any joint before it counts as joined
        return ids[len(self._anchor) :]


_numbers: list[int] = []


def _same(ids: Ids) -> Ids:
    """These ids as objects that are the same wherever a number is the same."""
    global _numbers
    if len(ids) < 2:
        return tuple(ids)
    try:
        return tuple(itemgetter(*ids)(_numbers))
    except IndexError:  # a thread that is here meanwhile makes a list of its own, and as right
        _numbers = longer = [*_numbers, *range(len(_numbers), max(ids) + 1)]
        return tuple(itemgetter(*ids)(longer))


def _head(part: str) -> str:
    """How a part begins: white space, and one character of a word or all of a punctuation."""
    first, second = part[:1], part[1:2]
    if first.isalnum():
        return first
    if first == " " and second.isalnum():
        return part[:2]
    found = HEAD.match(part[:REACH])
    assert found  # of nothing, if of no more
    return found[0]


def _tail(part: str) -> str:
    """The same of its end."""
    end = part[-REACH:]
    word = end.rstrip()
    if word[-1:].isalnum():
        return end[len(word) - 1 :]
    found = TAIL.search(end)
    assert found
    return found[0]
