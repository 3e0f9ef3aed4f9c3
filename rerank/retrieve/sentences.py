"""Long documents: their sentences, windows of them as passages, and scores of passages made one.

    first   FirstP: the score of the first passage
    max     MaxP: of the best one                             Dai & Callan 2019, arXiv:1905.09217
    sum     SumP: of all together
    top     the sum of the `k` best ones

It knows texts and numbers, no retriever and no model.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from math import inf, isfinite

from rerank.errors import UsageError
from rerank.recipes.stages import PartOptions, PassageOptions
from rerank.records import Doc, Run
from rerank.strategies.parts import Parts

END = re.compile(
    r"(?<=[.!?])[\"'\u201d\u2019)\]]*\s+(?=[\"'\u201c\u2018(\[]*[A-Z0-9\u00c0-\u00de\u0391-\u042f])"
    r"|(?<=[\u3002\uff01\uff1f])|\n\s*\n|(?<=[.!?:])\n"
)
"""Where a sentence may end: before a capital or digit, after a full-width mark, at a blank line."""
SHORT = r"e\.g|i\.e|cf|vs|al|etc|ca|Dr|Mr|Mrs|Ms|Prof|St|Fig|Figs|Eq|No|Nos|vol|pp|approx"
GOES_ON = re.compile(rf"\b(?:[A-Z]|{SHORT})\.$")
"""What ends in a full stop and ends no sentence."""


def sentences(text: str, longest: int = 80) -> list[str]:
    """The sentences of a text, in its words; of more than `longest` words one is cut into parts."""
    found: list[str] = []
    for part in _parts(text):
        if found and GOES_ON.search(found[-1]):
            found[-1] = f"{found[-1]} {part}"
        else:
            found.append(part)
    return [piece for sentence in found for piece in _pieces(sentence.split(), longest)]


def _parts(text: str) -> Iterator[str]:
    start = 0
    for end in END.finditer(text):
        if part := text[start : end.end()].strip():
            yield part
        start = end.end()
    if part := text[start:].strip():
        yield part


def _pieces(words: Sequence[str], longest: int) -> Iterator[str]:
    for start in range(0, len(words), longest):
        yield " ".join(words[start : start + longest])


def windows(doc: Doc, options: PartOptions) -> list[Doc]:
    """The passages of a document, each with its title; the last ends where the document does.

    A document of one passage is its own. An id is the document's, a hash sign and a number.
    """
    parts = sentences(doc.text)
    starts = range(0, max(1, len(parts) - options.sentences + options.stride), options.stride)
    if len(starts) == 1 or options.score == "first":
        starts = starts[:1]
    texts = [" ".join(parts[start : start + options.sentences]) for start in starts]
    return [Doc(f"{doc.id}#{number}", text, doc.title) for number, text in enumerate(texts)]


def joined(scores: Sequence[float], options: PartOptions) -> float:
    """One score of those of a document's passages, in their order; what is not finite is none."""
    if options.score == "first":
        return scores[0]
    kept = {"max": 1, "sum": None, "top": options.k}[options.score]
    best = sorted(filter(isfinite, scores), reverse=True)[:kept]
    return sum(best) if best else -inf


def parts_of(options: PartOptions) -> Parts:
    """How a reranker takes documents apart, and makes one rating of many."""
    return Parts(partial(_kept, options=options), partial(joined, options=options))


@lru_cache(maxsize=4096)
def _kept(doc: Doc, options: PartOptions) -> list[Doc]:
    return windows(doc, options)


@dataclass(frozen=True)
class Passages:
    """A corpus of passages, each of which knows its document."""

    options: PassageOptions
    corpus: list[Doc] = field(repr=False)
    owner: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, docs: Iterable[Doc], options: PassageOptions) -> "Passages":
        corpus: list[Doc] = []
        owner: dict[str, str] = {}
        for doc in docs:
            parts = windows(doc, options)
            corpus += parts
            owner |= dict.fromkeys((part.id for part in parts), doc.id)
        if len(owner) < len(corpus):
            raise UsageError("two passages have the same id; rename documents that end in #number")
        return cls(options, corpus, owner)

    def joined(self, run: Run, depth: int) -> Run:
        """A run of passages as one of documents, best first."""
        return {query: self._joined(scores, depth) for query, scores in run.items()}

    def _joined(self, scores: Mapping[str, float], depth: int) -> dict[str, float]:
        of: dict[str, list[float]] = {}
        for passage, score in scores.items():
            of.setdefault(self.owner[passage], []).append(score)
        total = {doc: joined(found, self.options) for doc, found in of.items()}
        best = sorted(total, key=total.__getitem__, reverse=True)[:depth]
        return {doc: total[doc] for doc in best}
