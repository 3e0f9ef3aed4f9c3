"""A queue that is sorted a lot at a time: little padding, and nobody waits for ever.

Sorted as a whole, a queue that never runs dry would keep its last in line back for as long as
others come. Here the oldest make a lot, which is sorted and finished before the next.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

BATCHES = 32
"""How many batches make a lot: enough to sort by length."""


class Lots(Generic[T]):
    """Takes requests in any order; `lot` has the next ones by `place`, at least one if any waits.

    A lot is of about `BATCHES` times `batch_tokens` tokens, each request's `size` of them. What is
    computed is to be taken out of the list that `lot` gives.
    """

    def __init__(
        self, batch_tokens: int, place: Callable[[T], Any], size: Callable[[T], int]
    ) -> None:
        self._tokens, self._place, self._size = BATCHES * batch_tokens, place, size
        self._arrived: deque[T] = deque()
        self._lot: list[T] = []

    def add(self, one: T) -> None:
        self._arrived.append(one)

    def lot(self) -> list[T]:
        """What is left of this lot, or the next."""
        if not self._lot:
            left = self._tokens
            while self._arrived and left > 0:
                self._lot.append(self._arrived.popleft())
                left -= self._size(self._lot[-1])
            self._lot.sort(key=self._place)
        return self._lot

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Forget what is not wanted."""
        self._arrived = deque(filter(wanted, self._arrived))
        self._lot[:] = filter(wanted, self._lot)

    def clear(self) -> None:
        self._arrived.clear()
        self._lot.clear()
