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
from rerank.wants import Labels, Likelihood, Logits, Pair, Reply, Text, Want

_THOUGHT = r"(?:seed:)?(?:think|thinking|thought|reasoning)>|THINK\]"
BEGUN, ENDED = (re.compile(rf"[<\[]{slash}(?:{_THOUGHT})") for slash in ("", "/"))
DOUBT = re.compile(r"(?i)\b(?:not|cannot|neither|nor|both|equal(?:ly)?|or)\b|n['\u2019]t\b")


class Reading(NamedTuple):
    """An answer in places: a permutation, weights, a preference or a rating."""

    value: Any
    status: Status = Status.OK


@dataclass(frozen=True, slots=True)
class Reader:
    """How to answer one kind of question: what is wanted of the engine, how its reply is read.

    `fixed`: how many labels its prompts may offer, such as Yes and No; where it is None there is
    one for each document shown.
    """

    asks: type[Question[Any]]
    wants: type[Want]
    read: Callable[[Reply, Sequence[str]], Reading]
    fixed: range | None = None


def answer_text(reply: Reply) -> str:
    """What was said after thinking, inside <answer> if there is one; nothing if it still thinks.

    algorithms.md section 2.2; a reply that is cut off inside <think>, by whatever name, has no
    answer.
    """
    said = ENDED.split(reply.text)[-1]
    if BEGUN.search(said):
        return ""
    _, opened, answer = said.rpartition("<answer>")
    return answer.partition("</answer>")[0] if opened else said


def read_permutation(reply: Reply, labels: Sequence[str]) -> Reading:
    """A list of identifiers, best first: `[2] > [1]`, or bare where no brackets are.

    Repeated and unknown identifiers are dropped, missing ones follow in their old order
    (algorithms.md section 2.2): repaired, as is a list with prose in it. No identifier at all:
    unreadable, the old order.
    """
    places = {label: place for place, label in enumerate(labels)}
    text = _plain(answer_text(reply))
    named = _identifiers(text, _numbered(labels))
    order = list(dict.fromkeys(places[name] for name in named if name in places))
    whole = len(named) == len(order) == len(labels)
    return _completed(order, len(labels), whole and not _torn(text))


def read_selection(reply: Reply, labels: Sequence[str]) -> Reading:
    """Some of the identifiers, the best first; that the others are missing is what was asked for.

    TourRank: Chen et al. 2024, arXiv:2406.11678. The others follow in their old order; only what
    is unknown or doubled makes it repaired.
    """
    places = {label: place for place, label in enumerate(labels)}
    text = re.sub(r"(?i)\b(?:passages?|documents?)(?=\W)", "", _plain(answer_text(reply)))
    named = _identifiers(text, _numbered(labels))
    order = list(dict.fromkeys(places[name] for name in named if name in places))
    return _completed(order, len(labels), len(named) == len(order) and not _torn(text))


def read_rated_list(reply: Reply, labels: Sequence[str]) -> Reading:
    """A number for each identifier, as in `{"[1]": 7, "[2]": 3}`; ties keep their old order.

    GroupRank (arXiv:2511.11653) has its passages rated together. Those without a number go last,
    repaired: a rating of zero would be made up.
    """
    one = r"\d{1,6}" if _numbered(labels) else "[A-Za-z]"
    rated = rf'(?<![\w.])({one})\s{{0,3}}\]?"?\s{{0,3}}:\s{{0,3}}"?(-?\d{{1,6}}(?:\.\d{{1,6}})?)'
    places = {label: place for place, label in enumerate(labels)}
    said = re.findall(rated, _plain(answer_text(reply)))
    ratings = {places[name]: float(number) for name, number in said if name in places}
    order = sorted(ratings, key=lambda place: (-ratings[place], place))
    return _completed(order, len(labels), len(said) == len(order) == len(labels))


def _completed(order: list[int], count: int, whole: bool) -> Reading:
    """Places that were named, then the others in their old order."""
    if count and not order:
        return Reading(list(range(count)), Status.UNREADABLE)
    missing = [place for place in range(count) if place not in set(order)]
    return Reading(order + missing, Status.OK if whole else Status.REPAIRED)


def _numbered(labels: Sequence[str]) -> bool:
    return all(map(str.isdecimal, labels))


def _plain(text: str) -> str:
    """With ordinary letters and digits for full-width, circled and raised ones."""
    return "".join(str(unicodedata.digit(c, c)) for c in unicodedata.normalize("NFKC", text))


def _identifiers(text: str, numbers: bool) -> list[str]:
    """Those in brackets; where there are none the longest list, or all that was said.

    A bare number or letter in prose names no passage: "the 2 best", "I think", "BAC".
    """
    text = re.sub(r"(?i)\b(?:passage|document)(?=\d)", " ", text)  # "PASSAGE2"
    one = r"\d{1,6}" if numbers else "[A-Za-z]"
    if not (named := re.findall(rf"\[\s*({one})\s*\]", text)):
        text = re.sub(r"(?m)^[ \t]*\d+[.)][ \t]+", "", text)  # the numbers of a numbered list
        one = r"\b\d{1,6}\b" if numbers else r"\b[A-Z]\b"
        many = rf"{one}(?:[\s>,=\"'()\[\]]+(?:(?i:passage|document)\s+)?{one})*"
        named = max((re.findall(one, m[0]) for m in re.finditer(many, text)), key=len, default=[])
        if len(named) == 1 and text.strip(" \n.:*\"'()") != named[0]:
            return []
    return [str(int(name)) if numbers else name.upper() for name in named]


def _torn(text: str) -> bool:
    """Whether words stand between bracketed identifiers: "[1] is bad. [3] > [2]" is no order."""
    between = re.split(r"\[\s*(?:\d{1,6}|[A-Za-z])\s*\]", text)[1:-1]
    words = (re.sub(r"(?i)passages?|documents?", "", gap) for gap in between)
    return any(re.search(r"[^\W\d_]", gap) for gap in words)


def read_label_order(reply: Reply, labels: Sequence[str]) -> Reading:
    """Sort by the log-probability of each label as the first token; ties keep the old order.

    FIRST: Reddy et al. 2024, arXiv:2406.15657, section 3.
    """
    places = list(range(len(labels)))
    if not _complete(reply, len(labels)):
        return Reading(places, Status.UNREADABLE)
    return Reading(sorted(places, key=lambda place: -reply.scores[place]))


def read_picked_label(reply: Reply, labels: Sequence[str]) -> Reading:
    """The label that was written: its place gets all the weight.

    The reply is the label or begins with it, alone or as "Passage B ...", and says no other
    label nor any word of doubt. All else is unreadable, and there no place gets any weight: "A
    passage about ...", "Passage A and B are equally relevant", "I, as a model, cannot".
    """
    names = [label.strip().casefold() for label in labels]
    text = _plain(answer_text(reply)).strip()
    torn = not reply.finished and text[-1:].isdecimal()  # "1" may be all that came of "12"
    picked = None if torn or DOUBT.search(text) else _picked(text, labels)
    if picked in names:
        return Reading([float(name == picked) for name in names])
    return Reading([0.0] * len(labels), Status.UNREADABLE)


def _picked(text: str, labels: Sequence[str]) -> str | None:
    """The label that a reply begins with, if it names no other; an article names none."""
    one = "|".join(re.escape(label.strip()) for label in labels)
    start = r"[\[(\"'*]*(?:answer\b[\s:\[(\"'*]*)?"
    called = rf"{start}(?i:passage|document)\b[\s:\[(\"'*]+({one})(?!\w)"
    alone = rf"{start}(?:(?:passage|document)\b[\s:\[(\"'*]*)?({one})[\])\"'*]*(?:[.:;!]|\n|$)"
    found = re.match(called, text) or re.match(alone, text, re.IGNORECASE)
    if not found:
        return None
    said = rf"(?<!\w)(?<!\w['\u2019])(?!(?-i:a)\s+\w)({one})(?!\w)"  # not in "it's"
    named = {name.casefold() for name in re.findall(said, text, re.IGNORECASE)}
    return found[1].casefold() if named <= {found[1].casefold()} else None


def read_label_weights(reply: Reply, labels: Sequence[str]) -> Reading:
    """The labels' probabilities, as a distribution over the labels alone."""
    if not labels or not _complete(reply, len(labels)):
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


def read_label_expectation(reply: Reply, labels: Sequence[str]) -> Reading:
    """The grade to be expected, where the labels are grades from 0 upwards.

    "ER" of Zhuang et al. 2024, arXiv:2310.14122 (algorithms.md section 3.3).
    """
    if not labels or not _complete(reply, len(labels)):
        return Reading(-math.inf, Status.UNREADABLE)
    return Reading(sum(grade * p for grade, p in enumerate(_softmax(reply.scores))))


def read_label_peak(reply: Reply, labels: Sequence[str]) -> Reading:
    """The log-probability of the highest grade, which is the last label: "PR" of the same paper."""
    if not labels or not _complete(reply, len(labels)):
        return Reading(-math.inf, Status.UNREADABLE)
    return Reading(reply.scores[-1])


def read_score(reply: Reply, labels: Sequence[str]) -> Reading:
    """The one number that came back: a scoring model's, a label's or a continuation's."""
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


_TWO = range(2, 3)

READERS: dict[str, Reader] = {
    "permutation": Reader(Order, Text, read_permutation),
    "selection": Reader(Order, Text, read_selection),
    "rated-list": Reader(Order, Text, read_rated_list),
    "label-order": Reader(Order, Labels, read_label_order),
    "picked-label": Reader(Pick, Text, read_picked_label),
    "label-weights": Reader(Pick, Labels, read_label_weights),
    "preferred-passage": Reader(Compare, Text, read_preferred_passage, _TWO),
    "label-preference": Reader(Compare, Labels, read_label_preference, _TWO),
    "label-odds": Reader(Rate, Labels, read_label_odds, _TWO),
    "label-expectation": Reader(Rate, Labels, read_label_expectation, range(2, 12)),
    "label-peak": Reader(Rate, Labels, read_label_peak, range(2, 12)),
    "label-logit": Reader(Rate, Logits, read_score, range(1, 2)),
    "likelihood": Reader(Rate, Likelihood, read_score),
    "score": Reader(Rate, Pair, read_score),
}
