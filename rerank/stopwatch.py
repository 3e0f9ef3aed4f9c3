"""Where a thread's seconds go, by stage. A stage inside another counts for itself alone.

Stages: `prompt` words a question, `journal` looks replies up and keeps them, `tokenise` spells a
prompt, `submit` hands it over, `wait` is the engine's own time, `read` makes an answer of a reply.
What is in none of them is the strategies' and the scheduler's.
"""

import threading
from time import perf_counter

STAGES = ("prompt", "journal", "tokenise", "submit", "wait", "read")


class _Watch:
    """One thread's."""

    __slots__ = ("inside", "seconds", "since")

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.inside: list[str] = []
        self.since = 0.0

    def turn(self) -> None:
        """Charge the time since the last turn to the innermost stage."""
        now = perf_counter()
        if self.inside:
            self.seconds[self.inside[-1]] += now - self.since
        self.since = now


class _Watches(threading.local):
    def __init__(self) -> None:
        self.watch = _Watch()


_OF_THIS_THREAD = _Watches()


class stage:
    """A block of this stage."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        watch = _OF_THIS_THREAD.watch
        watch.turn()
        watch.inside.append(self.name)

    def __exit__(self, *_: object) -> None:
        watch = _OF_THIS_THREAD.watch
        watch.turn()
        watch.inside.pop()


def spent() -> dict[str, float]:
    """Seconds that this thread has spent in each stage so far."""
    return dict(_OF_THIS_THREAD.watch.seconds)
