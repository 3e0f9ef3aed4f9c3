"""What completes text, scores labels and scores pairs. An engine knows nothing of ranking."""

from collections.abc import Collection, Hashable, Iterable
from typing import Protocol

from rerank.errors import EngineError
from rerank.passages import Cut
from rerank.wants import Reply, Request, Want

NOBODY = "nobody"
"""The ticket of a reply that answers no request: it only ends a wait."""


class LabelError(EngineError):
    """Labels that are not one token each, distinct, where this tokenizer would write them."""


class Engine(Protocol):
    """Takes requests one by one, finishes them in its own order, in its own time."""

    name: str
    """Everything that decides a reply besides the request: model, revision, precision, template.
    The journal keeps replies under it."""

    wants: tuple[type[Want], ...]
    """What this engine can be asked for."""

    special_tokens: tuple[str, ...]
    """Strings that the model would read as control tokens; prompts keep them out of documents."""

    cut: Cut | None
    """Cuts a text at so many of the model's own tokens; None where its tokenizer is not here."""

    def check(self, request: Request) -> None:
        """Raise `EngineError` where a request of this form cannot be answered exactly.

        Called once for each form before a run. For `Labels`: `encode(prompt + label)` must be
        `encode(prompt)` and exactly one more token, distinct for each label, else `LabelError`.
        """

    def submit(self, ticket: Hashable, request: Request) -> None:
        """Take one request; its reply comes back under `ticket`. Returns at once."""

    def poll(self) -> Iterable[tuple[Hashable, Reply]]:
        """Wait until something is finished; return whatever is. With nothing out: nothing.

        A reply to `NOBODY`, or to what was cancelled, may be among it.
        """
        ...

    def wake(self) -> None:
        """From any thread: let a poll that waits for long return now, with a reply to `NOBODY`."""

    def cancel(self, tickets: Collection[Hashable]) -> None:
        """Spend no more on these requests; who cancels reads no reply to them."""

    def close(self) -> None:
        """Let go of the model, the connection, the file."""
