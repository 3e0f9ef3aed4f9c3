"""One thread that drives the queries of all callers over one judge.

Callers may be threads or tasks, and come and go: what one asks fills the model's batches beside
what the others ask. A query fails by itself. It is given up when its future is cancelled, and then
costs nothing more.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeAlias

from rerank.errors import EngineError, RerankError, Unavailable, UsageError
from rerank.judges import LLMJudge
from rerank.records import Doc, Query
from rerank.scheduler import Drive, Job

Driven: TypeAlias = Job[Query, list[Doc]]


Ended: TypeAlias = Callable[[Driven, BaseException | None], None]
"""Is told how a query ended, just before its caller is."""


@dataclass(eq=False, slots=True)
class Asked:
    """A query on its way: `ready` runs before its first question, on the thread that drives."""

    job: Driven
    ready: Callable[[], None]
    ended: Ended
    future: "Future[Driven]" = field(default_factory=Future)


class Dispatch:
    """Takes queries from any thread; each one's future has its job once it is done.

    No query is begun while `at_once` questions are out. The thread starts with the first query and
    ends with `close`, which gives up what is unfinished.
    """

    def __init__(self, judge: LLMJudge, at_once: int = 4096) -> None:
        self._judge, self._at_once = judge, at_once
        self._drive: Drive[Query, list[Doc]] = Drive(judge, on_error="keep")
        self._arriving: SimpleQueue[Asked | None] = SimpleQueue()
        self._leaving: deque[Asked] = deque()
        self._waiting: deque[Asked] = deque()
        self._begun: dict[Driven, Asked] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._over: RerankError | None = None

    def submit(
        self,
        job: Driven,
        ready: Callable[[], None] = lambda: None,
        ended: Ended = lambda job, failure: None,
    ) -> "Future[Driven]":
        """Take a query; cancel its future to give it up."""
        asked = Asked(job, ready, ended)
        with self._lock:
            if self._over:
                raise self._over
            self._arriving.put(asked)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="rerank", daemon=True)
                self._thread.start()
        asked.future.add_done_callback(partial(self._leave, asked))
        self._judge.wake()
        return asked.future

    def close(self) -> None:
        """Give up what is unfinished and end the thread; once is enough, twice does no harm."""
        with self._lock:
            self._over = self._over or UsageError("this reranker is closed")
        if self._thread is not None and self._thread.is_alive():
            self._arriving.put(None)
            self._judge.wake()
            if self._thread is not threading.current_thread():  # whose garbage this may be
                self._thread.join()

    def _leave(self, asked: Asked, future: "Future[Driven]") -> None:
        if future.cancelled():
            asked.ended(asked.job, CancelledError())
            self._leaving.append(asked)
            self._judge.wake()

    def _work(self) -> None:
        try:
            while self._take():
                while self._leaving:
                    self._give_up(self._leaving.popleft())
                try:
                    self._go_on()
                except Exception as failure:  # the engine's: every query that it holds has it
                    for asked in [*self._begun.values()]:
                        self._end(asked, failure)
            self._stop(UsageError("the reranker was closed before this was answered"))
        except Exception as failure:  # it cannot even let go of what it holds
            self._stop(EngineError(f"the engine stopped: {failure}"))

    def _stop(self, reason: RerankError) -> None:
        """Tell everybody who waits, and whoever comes."""
        with self._lock:
            self._over = self._over or reason
        while not self._arriving.empty():
            if asked := self._arriving.get():
                self._waiting.append(asked)
        for asked in [*self._begun.values(), *self._waiting]:
            self._answer(asked, reason)

    def _take(self) -> bool:
        """Whatever has arrived; waits while there is nothing else to do. False: it is closed."""
        idle = not (self._begun or self._waiting or self._leaving)
        while True:
            try:
                asked = self._arriving.get(block=idle)
            except Empty:
                return True
            if asked is None:
                return False
            self._waiting.append(asked)
            idle = False

    def _go_on(self) -> None:
        """Send what can be sent, then wait for answers."""
        drive = self._drive
        while drive.ready or (self._waiting and drive.out < self._at_once):
            if drive.ready:
                self._send(self._begun[drive.ready.popleft()])
            else:
                self._begin(self._waiting.popleft())
        if drive.out:
            for job in drive.receive():
                self._end(self._begun[job])

    def _begin(self, asked: Asked) -> None:
        if asked.future.cancelled():
            return
        self._begun[asked.job] = asked
        try:
            asked.ready()
        except Unavailable as trouble:
            self._fail(asked, trouble)
        except Exception as mistake:
            self._end(asked, mistake)
        else:
            self._send(asked)

    def _send(self, asked: Asked) -> None:
        """Resume one query; what its strategy or its prompt does wrong is its own mistake."""
        try:
            if self._drive.send(asked.job):
                self._end(asked)
        except Unavailable as trouble:
            self._fail(asked, trouble)
        except Exception as mistake:
            self._end(asked, mistake)

    def _fail(self, asked: Asked, trouble: Unavailable) -> None:
        """A failed query: whoever asked said what then comes of it."""
        asked.job.error = str(trouble)
        self._answer(asked)
        self._give_up(asked)

    def _give_up(self, asked: Asked) -> None:
        if self._begun.pop(asked.job, None):
            self._judge.cancel(self._drive.drop(asked.job))

    def _end(self, asked: Asked, failure: BaseException | None = None) -> None:
        self._answer(asked, failure)
        if failure:
            self._give_up(asked)
        self._begun.pop(asked.job, None)

    def _answer(self, asked: Asked, failure: BaseException | None = None) -> None:
        """Answer a caller, if there still is one."""
        if asked.future.done() or not asked.future.set_running_or_notify_cancel():
            return
        asked.ended(asked.job, failure)
        if failure:
            asked.future.set_exception(failure)
        else:
            asked.future.set_result(asked.job)
