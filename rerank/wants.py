"""What an engine can be asked for, and what it replies.

A request is a conversation and one thing wanted of it. It names documents and
rankings nowhere: engines know text, labels and pairs.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from rerank.records import NO_USAGE, Usage


@dataclass(frozen=True, slots=True)
class Text:
    """Write: at most `max_tokens` tokens, ending before any of the `stop` strings."""

    max_tokens: int
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """The log-probability of each label as the next token, over the full vocabulary."""

    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Logits:
    """The score of each label as the next token as the model's head gives it, before any softmax.

    Comparable between prompts only for a model that was trained to make them so.
    """

    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The log-probability of `continuation`, summed over its tokens."""

    continuation: str


@dataclass(frozen=True, slots=True)
class Pair:
    """The score that a scoring model gives to a query and a document."""

    query: str
    doc: str


Want: TypeAlias = Text | Labels | Logits | Likelihood | Pair


class Message(NamedTuple):
    role: str  # "system", "user" or "assistant"
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """A conversation, the start of the reply that is put in the model's mouth, and what is wanted.

    With `chat` false, `messages` holds one message and its content is the whole
    prompt as it stands, without the model's chat template. A `Pair` needs no messages.
    `seams` are, for each message, the places where its content was put together: what lies
    between two is likely to come again, so a tokenizer may keep it. They are part of no reply.
    """

    messages: tuple[Message, ...]
    want: Want
    prefill: str = ""
    chat: bool = True
    seams: tuple[tuple[int, ...], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: text, or the scores that were wanted, in the order of the labels.

    `overflow` > 0: nothing was computed, the prompt is that many tokens too long.
    `error`: nothing came back, and why. `truncated`: tokens cut off a pair's document.
    """

    text: str = ""
    scores: tuple[float, ...] = ()
    usage: Usage = NO_USAGE
    finished: bool = True  # false: cut off by max_tokens
    overflow: int = 0
    truncated: int = 0
    error: str = ""
