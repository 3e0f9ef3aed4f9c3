"""What is there to see of a dataset besides numbers: texts, rankings, judgments and replies.

It is gathered elsewhere, and shown by the page; all of its texts are strangers'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rerank.records import Qrels


class Exchange(NamedTuple):
    """A question by its documents, what was replied, in words or in scores, and its status."""

    docs: tuple[str, ...]
    text: str
    scores: tuple[float, ...]
    status: str


Listed = Mapping[str, Sequence[str]]
"""Documents by query, best first."""


@dataclass(frozen=True)
class View:
    """A dataset as its runs saw it. What is not known of it, `lacks` says in words.

    `lists` are by a run's key; `first` are first stages by their names. `replies` are by a run's
    key and by query.
    """

    dataset: str
    queries: Mapping[str, str] = field(default_factory=dict)
    docs: Mapping[str, str] = field(default_factory=dict)
    qrels: Qrels = field(default_factory=dict)
    lists: Mapping[str, Listed] = field(default_factory=dict)
    first: Mapping[str, Listed] = field(default_factory=dict)
    replies: Mapping[str, Mapping[str, Sequence[Exchange]]] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
