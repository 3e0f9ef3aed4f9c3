"""Any OpenAI-compatible server as an engine, or several that serve one model.

A thread with an event loop waits for them. How JSON is spelled and read is openai.py's, what a
server can be trusted with is served.py's, who of several is asked is fleet.py's.
"""

import asyncio
import queue
import threading
from collections.abc import Collection, Coroutine, Hashable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from rerank.engines import NOBODY
from rerank.engines.remote.connection import Server
from rerank.engines.remote.fleet import Fleet
from rerank.engines.remote.openai import Failed, Wire
from rerank.engines.remote.served import Served
from rerank.errors import EngineError, Unavailable, UsageError
from rerank.wants import Labels, Likelihood, Reply, Request, Text, Want

T = TypeVar("T")


class HTTP:
    """An engine that asks a server, from a thread with an event loop of its own.

    `base_url` ends as the server's documents say, mostly in /v1; several, with commas between,
    share the work, and each is asked `concurrency` requests at once. A `timeout` is in seconds and
    for each try; connection errors, timeouts, 429 and 5xx are tried `attempts` times in all, and
    then as often at each of the other servers.
    `extra_body` is merged into every completion. What it can be asked for, and on what
    conditions, stands in served.py.
    """

    wants: tuple[type[Want], ...] = (Text, Labels, Likelihood)
    special_tokens: tuple[str, ...] = ()  # a server does not list them
    cut = None

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        api_key: str | None = None,
        concurrency: int = 64,
        timeout: float = 120.0,
        attempts: int = 6,
        chat_template_options: Mapping[str, Any] | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        if concurrency < 1 or attempts < 1:
            raise UsageError("concurrency and attempts are 1 or more")
        wire = Wire(model, chat_template_options or {}, extra_body or {})
        self.name = wire.name
        self._servers = [
            Server(one.strip(), api_key, concurrency, timeout, attempts)
            for one in base_url.split(",")
        ]
        self._fleet = Fleet([Served(wire, server) for server in self._servers], concurrency)
        self._done: queue.SimpleQueue[tuple[Hashable, Reply | Exception]] = queue.SimpleQueue()
        self._out = 0
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def submit(self, ticket: Hashable, request: Request) -> None:
        self._out += 1
        self._loop.call_soon_threadsafe(self._start, ticket, request)

    def poll(self) -> Iterable[tuple[Hashable, Reply]]:
        finished: list[tuple[Hashable, Reply]] = []
        while self._out and not (finished and self._done.empty()):
            ticket, reply = self._done.get()
            self._out -= ticket is not NOBODY
            if isinstance(reply, Exception):
                raise reply
            finished.append((ticket, reply))
        return finished

    def wake(self) -> None:
        self._done.put((NOBODY, Reply()))

    def cancel(self, tickets: Collection[Hashable]) -> None:
        """Hang up, so that the server stops writing."""
        self._loop.call_soon_threadsafe(self._hang_up, tuple(tickets))

    def check(self, request: Request) -> None:
        """Ask each server a request of this form; `EngineError` says what stands in the way."""
        try:
            self._run(self._fleet.check(request))
        except Failed as failed:
            if not failed.overflows:  # a form can be right and one prompt of it too long
                raise (Unavailable if failed.again else EngineError)(failed.line) from None

    def close(self) -> None:
        if not self._loop.is_closed():
            self._out = 0
            self._run(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _stop(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for server in self._servers:
            await server.close()

    def _start(self, ticket: Hashable, request: Request) -> None:
        task = self._loop.create_task(self._finish(ticket, request))
        self._tasks[ticket] = task
        task.add_done_callback(partial(self._ended, ticket))

    def _ended(self, ticket: Hashable, task: asyncio.Task[None]) -> None:
        if self._tasks.get(ticket) is task:
            del self._tasks[ticket]
        if task.cancelled():
            self._done.put((ticket, Reply(error="cancelled")))

    def _hang_up(self, tickets: Iterable[Hashable]) -> None:
        for ticket in tickets:
            if ticket in self._tasks:
                self._tasks[ticket].cancel()

    async def _finish(self, ticket: Hashable, request: Request) -> None:
        try:
            self._done.put((ticket, await self._fleet.reply(request)))
        except Exception as defect:  # raised by poll: nobody waits for what cannot come
            self._done.put((ticket, defect))
