"""Queries out of documents, without a model: what is cut out of a document asks for what is left.

    title      a title asks for its text
    sentence   a sentence asks for the rest (inverse cloze: Lee et al. 2019, arXiv:1906.00300)
    keywords   rare words, drawn by their inverse document frequency, some after a question word

Law: a pseudo-query stands nowhere in the passage that it asks for, but for keywords. Chance comes
from the seed and the document. It knows texts alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import log
from random import Random
from typing import Literal, NamedTuple

from rerank.records import Doc
from rerank.retrieve.analysis import STOP_WORDS, words
from rerank.retrieve.sentences import sentences

Kind = Literal["title", "sentence", "keywords"]

OPENINGS = (
    "what is", "what are", "how to", "how does", "define", "why is", "where is", "who is",
    "when was", "effect of", "causes of", "", "", "", "", "", "", "",
)  # fmt: skip
"""What a keyword query may begin with; as often as not, nothing."""

SHORTEST, LEAST = 4, 12
"""A sentence of fewer words asks nothing; a passage of fewer answers nothing."""


class Cut(NamedTuple):
    """A pseudo-query and the passage that is left, where its kind is one that found something."""

    kind: Kind | None
    query: str
    passage: Doc


def cut(doc: Doc, kind: Kind, length: int, chance: str) -> Cut:
    """Take a query of this kind out of a document; keywords, where there is no such query."""
    draw = Random(f"{chance} {doc.id}")
    parts = sentences(doc.text, length)
    if kind == "title" and len(doc.title.split()) >= 2 and len(doc.text.split()) >= LEAST:
        return Cut(kind, doc.title, _passage(doc.id, "", parts, length, draw))
    asking = [part for part in parts if SHORTEST <= len(part.split()) <= 30]
    if kind == "sentence" and asking and len(parts) > 1:
        asked = draw.choice(asking)
        rest = [part for part in parts if part != asked]
        if len(" ".join(rest).split()) >= LEAST:
            return Cut(kind, asked, _passage(doc.id, doc.title, rest, length, draw))
    passage = _passage(doc.id, doc.title, parts, length, draw)
    enough = len(f"{doc.title} {doc.text}".split()) >= LEAST
    return Cut("keywords" if enough else None, "", passage)


def rarity(docs: Iterable[Doc]) -> dict[str, float]:
    """The inverse document frequency of every word that is no stop word."""
    counts: Counter[str] = Counter()
    total = 0
    for doc in docs:
        counts.update(set(_content(doc)))
        total += 1
    return {word: log(1 + (total - n + 0.5) / (n + 0.5)) for word, n in counts.items()}


def keywords(doc: Doc, idf: Mapping[str, float], chance: str) -> str:
    """One to six words of a passage, the rarer the likelier; empty where it has too few."""
    draw = Random(f"{chance} {doc.id}")
    found = list(dict.fromkeys(_content(doc)))
    if len(found) < 2:
        return ""
    # The largest of u^(1/w) are a sample without replacement by weight (Efraimidis & Spirakis 2006)
    places = sorted(range(len(found)), key=lambda at: -(draw.random() ** (1 / idf[found[at]])))
    kept = sorted(places[: draw.choice((1, 2, 2, 3, 3, 4, 5, 6))])
    return " ".join([draw.choice(OPENINGS), *(found[at] for at in kept)]).strip()


def _content(doc: Doc) -> list[str]:
    found = [word.lower() for word in words(f"{doc.title} {doc.text}")]
    return [word for word in found if word not in STOP_WORDS and len(word) > 2]


def _passage(name: str, title: str, parts: Sequence[str], length: int, draw: Random) -> Doc:
    """Whole sentences from the start, or as often from any other, until there are enough words."""
    start = 0 if draw.random() < 0.5 else draw.randrange(max(1, len(parts)))
    if start and sum(len(part.split()) for part in parts[start:]) < LEAST:
        start = 0
    return Doc(name, " ".join(" ".join(parts[start:]).split()[:length]), title)
