"""From a reply to an answer. Every reader is total: any reply gives a legal answer and a status.

A reader knows labels and text, no documents: it answers with numbers that stand for the places
of a prompt. What it could not read it says; it never mines an unfinished thought for digits.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rerank.questions import Compare, Order, Pick, Question, Rate
from rerank.records import Status
from rerank.wants import Labels, Pair, Reply, Text, Want


class Reading(NamedTuple):
    """An answer in places: a permutation, weights, a preference or a rating."""

    value: Any
    status: Status = Status.OK


@dataclass(frozen=True, slots=True)
class Reader:
    """How to answer one kind of question: what is wanted of the engine, how its reply is read.

    `labels` of a prompt: one for each document shown, or fixed ones such as Yes and No.
    """

    asks: type[Question[Any]]
    wants: type[Want]
    read: Callable[[Reply, Sequence[str]], Reading]
    fixed_labels: bool = False


def answer_text(reply: Reply) -> str | None:
    """What was said after thinking, inside <answer> if there is one; None if it is still thinking.

    algorithms.md section 2.2; a reply that is cut off inside <think> has no answer.
    """
    text = reply.text
    if "</think>" in text:
        text = text.rsplit("</think>", 1)[1]
    elif "<think>" in text:
        return None
    found = re.findall(r"<answer>(.*?)</answer>", text, re.DOTALL)
    return found[-1] if found else text


def read_permutation(reply: Reply, labels: Sequence[str]) -> Reading:
    """A list of identifiers, best first: `[2] > [1]`, or bare where no brackets are.

    Repeated and unknown identifiers are dropped, missing ones follow in their old order
    (algorithms.md section 2.2): repaired. No identifier at all: unreadable, the old order.
    """
    places = {label: place for place, label in enumerate(labels)}
    said = [places[name] for name in _identifiers(answer_text(reply), labels) if name in places]
    order = list(dict.fromkeys(said))
    if not order and labels:
        return Reading(list(range(len(labels))), Status.UNREADABLE)
    whole = len(said) == len(order) == len(labels)
    missing = [place for place in range(len(labels)) if place not in set(order)]
    return Reading(order + missing, Status.OK if whole else Status.REPAIRED)


def _identifiers(text: str | None, labels: Sequence[str]) -> list[str]:
    """What looks like an identifier, as the labels spell it."""
    plain = unicodedata.normalize("NFKC", text or "")
    if all(label.isdecimal() for label in labels):
        found = re.findall(r"\[\s*(\d{1,6})\s*\]", plain) or re.findall(r"\d{1,6}", plain)
        return [str(int(number)) for number in found]
    bracketed = re.findall(r"\[\s*([A-Za-z]{1,2})\s*\]", plain)
    chain = re.search(r"\b[A-Z]{1,2}(?:\s*[>,]\s*[A-Z]{1,2})*\b", plain)
    return [name.upper() for name in bracketed] or re.findall(r"[A-Z]+", chain[0] if chain else "")


def read_label_order(reply: Reply, labels: Sequence[str]) -> Reading:
    """Sort by the log-probability of each label as the first token; ties keep the old order.

    FIRST: Reddy et al. 2024, arXiv:2406.15657, section 3.
    """
    places = list(range(len(labels)))
    if not _complete(reply, len(labels)):
        return Reading(places, Status.UNREADABLE)
    return Reading(sorted(places, key=lambda place: -reply.scores[place]))


def read_picked_label(reply: Reply, labels: Sequence[str]) -> Reading:
    """The label that was written, alone or first on its line: its place gets all the weight.

    "A passage about ..." picks nothing: there no place gets any weight, and it is unreadable.
    """
    spoken = unicodedata.normalize("NFKC", answer_text(reply) or "").strip()
    spoken = re.sub(r"^(passage|document)\b[\s:]*", "", spoken, flags=re.IGNORECASE)
    found = re.match(r"[\[(\"'*]*([A-Za-z]|\d{1,6})[\])\"'*]*(?:[.,:;!]|\n|$)", spoken)
    names = [label.strip().upper() for label in labels]
    if found and found[1].upper() in names:
        return Reading([float(name == found[1].upper()) for name in names])
    return Reading([0.0] * len(labels), Status.UNREADABLE)


def read_label_weights(reply: Reply, labels: Sequence[str]) -> Reading:
    """The labels' probabilities, as a distribution over the labels alone."""
    if not _complete(reply, len(labels)):
        return Reading([0.0] * len(labels), Status.UNREADABLE)
    return Reading(_softmax(reply.scores))


def read_preferred_passage(reply: Reply, labels: Sequence[str]) -> Reading:
    """Which of two was named: 1 for the first, 0 for the second, 0.5 where neither can be read."""
    weights, status = read_picked_label(reply, labels)
    return Reading(weights[0] if status is Status.OK else 0.5, status)


def read_label_preference(reply: Reply, labels: Sequence[str]) -> Reading:
    """The first label's probability against the second's, in [0, 1]."""
    weights, status = read_label_weights(reply, labels)
    return Reading(weights[0] if status is Status.OK else 0.5, status)


def read_label_odds(reply: Reply, labels: Sequence[str]) -> Reading:
    """log p(first label) - log p(second): the log-odds of Yes, which saturate nowhere.

    Probabilities near 1 tie where their log-odds do not (algorithms.md section 3.9).
    """
    if not _complete(reply, 2):
        return Reading(-math.inf, Status.UNREADABLE)
    yes, no = reply.scores
    return Reading(yes - no)


def read_score(reply: Reply, labels: Sequence[str]) -> Reading:
    """The number that a scoring model gave."""
    if not _complete(reply, 1):
        return Reading(-math.inf, Status.UNREADABLE)
    return Reading(reply.scores[0])


def _complete(reply: Reply, count: int) -> bool:
    """Whether there is a finite score for every label."""
    return len(reply.scores) == count and all(map(math.isfinite, reply.scores))


def _softmax(scores: Sequence[float]) -> list[float]:
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    total = sum(weights)
    return [weight / total for weight in weights]


READERS: dict[str, Reader] = {
    "permutation": Reader(Order, Text, read_permutation),
    "label-order": Reader(Order, Labels, read_label_order),
    "picked-label": Reader(Pick, Text, read_picked_label),
    "label-weights": Reader(Pick, Labels, read_label_weights),
    "preferred-passage": Reader(Compare, Text, read_preferred_passage),
    "label-preference": Reader(Compare, Labels, read_label_preference),
    "label-odds": Reader(Rate, Labels, read_label_odds, fixed_labels=True),
    "score": Reader(Rate, Pair, read_score),
}
