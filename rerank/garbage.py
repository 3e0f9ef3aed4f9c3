"""How often Python looks for garbage while a run goes on: seldom, and as before once it is over.

Its collector walks over all that lives, again and again as that grows. A run holds thousands of
questions beside a model's modules and perhaps a million documents, and frees what it is done with
by itself, so most of the scheduler's time went into such walks.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

THRESHOLD = 100_000  # objects more than there were before the young ones are looked at

_LOCK = Lock()
_runs: list[None] = []
_before: tuple[tuple[int, int, int], bool] = (0, 0, 0), True


@contextmanager
def left_alone() -> Iterator[None]:
    """A block in which what lived before it is no garbage, and the rest is looked at seldom.

    Of several at a time, in threads or one in another, the first sets that and the last takes it
    back. Who has switched the collector off or frozen what lives finds it so.
    """
    with _LOCK:
        if not _runs:
            _settle()
        _runs.append(None)
    try:
        yield
    finally:
        with _LOCK:
            _runs.pop()
            if not _runs:
                _take_back()


def _settle() -> None:
    global _before
    _before = (young, *older), frozen = gc.get_threshold(), gc.get_freeze_count() > 0
    if not frozen:
        gc.freeze()
    gc.set_threshold(young and max(young, THRESHOLD), *older)


def _take_back() -> None:
    threshold, frozen = _before
    gc.set_threshold(*threshold)
    if not frozen:
        gc.unfreeze()
