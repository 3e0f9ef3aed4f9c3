"""The nouns: frozen, without behaviour, the same everywhere."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias


class Query(NamedTuple):
    """`instruction` is this query's own, instead of the prompt's."""

    id: str
    text: str
    instruction: str = ""


class Doc(NamedTuple):
    id: str
    text: str
    title: str = ""


Qrels: TypeAlias = dict[str, dict[str, int]]
"""Relevance judgments: query id -> document id -> grade."""

Run: TypeAlias = dict[str, dict[str, float]]
"""A TREC run: query id -> document id -> score."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a model read (`cached` of them from its prefix cache) and wrote."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        if self is NO_USAGE:
            return other
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
        )


NO_USAGE = Usage()


class Status(StrEnum):
    """What became of a reply on its way to an answer."""

    OK = "ok"
    REPAIRED = "repaired"  # something was missing or doubled, and was put right
    UNREADABLE = "unreadable"  # nothing could be read; the answer decides nothing
    FAILED = "failed"  # the engine gave no reply

    __hash__ = str.__hash__  # an enum's own is Python's, and each answer is counted by it


@dataclass(frozen=True, slots=True)
class Answer:
    """A judge's answer: its value for the strategy, and what it took to get it.

    `truncated` counts the passages that did not fit whole, `cut` the words that they lost.
    """

    value: Any
    status: Status = Status.OK
    usage: Usage = NO_USAGE
    truncated: int = 0
    cut: int = 0
    error: str = ""
