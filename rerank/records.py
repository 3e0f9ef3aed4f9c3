"""The nouns: frozen, without behaviour, the same everywhere."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias


class Query(NamedTuple):
    id: str
    text: str


class Doc(NamedTuple):
    id: str
    text: str
    title: str = ""


Ranking: TypeAlias = list[Doc]
"""Documents, best first."""

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
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
        )
