"""Any OpenAI-compatible server as an engine: connections, retries, and a thread to wait in.

The one place that opens connections. How JSON is spelled and read is openai.py's, what a server
can be trusted with is served.py's. The API key leaves this file in one header only.
"""

import asyncio
import json
import queue
import random
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Hashable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import tenacity

from rerank.engines import openai
from rerank.engines.openai import Body, Failed, Wire
from rerank.engines.served import Served
from rerank.errors import EngineError, UsageError
from rerank.wants import Labels, Likelihood, Reply, Request, Text, Want

T = TypeVar("T")

BACK_OFF = tenacity.wait_exponential(multiplier=0.5, max=30) + tenacity.wait_random(0, 1)
HINTS = {
    401: " (is the API key given, and the right one?)",
    403: " (may this API key ask for this model?)",
    404: " (is the model's name right, and does the base URL end as the server's, mostly in /v1?)",
}
LONGEST_WAIT = 300.0  # a server that asks for more has a quota, not a hiccup


class Server:
    """One server: each call retried, `concurrency` at once, over connections that stay open.

    Each connection is a client of its own, as httpx looks through its whole pool for each
    request: of 64 at once, that takes 3.6 ms of this machine instead of 1.0.
    """

    def __init__(
        self, base_url: str, api_key: str | None, concurrency: int, timeout: float, attempts: int
    ) -> None:
        url, self._key = _address(base_url), (api_key or "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise UsageError("the API key holds a character that no key has")
        self.place = f"{url.scheme}://{url.netloc.decode()}{url.path.rstrip('/')}"  # no password
        self._base, self._timeout = str(url).rstrip("/"), timeout
        options: dict[str, Any] = {
            "headers": {"authorization": f"Bearer {self._key}"} if self._key else {},
            "timeout": timeout,
            "verify": httpx.create_ssl_context(),
        }
        self._idle: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        self._clients = [httpx.AsyncClient(**options) for _ in range(concurrency)]
        for client in self._clients:
            self._idle.put_nowait(client)
        self._patiently = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(attempts),
            wait=_pause,
            retry=tenacity.retry_if_exception(_again),
            reraise=True,
        ).wraps(self._call)

    async def get(self, path: str) -> Any:
        """Asked before anything has started, so without patience: one try."""
        async with self._client() as client:
            return await self._call(client, path)

    async def post(self, path: str, body: Body) -> Any:
        """The JSON of a successful answer; else `Failed`, with the last of the reasons.

        A `path` that starts with "//" stands beside the API's /v1, not under it.
        """
        async with self._client() as client:
            return await self._patiently(client, path, body)

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        client = await self._idle.get()
        try:
            yield client
        finally:
            self._idle.put_nowait(client)

    async def _call(self, client: httpx.AsyncClient, path: str, body: Body | None = None) -> Any:
        beside = path.startswith("//")
        url = self._base.removesuffix("/v1") + path[1:] if beside else self._base + path
        try:
            if body is None:
                answer = await client.get(url)
            else:  # ASCII, so that a lone surrogate in a document cannot stop the run
                content, kind = json.dumps(body).encode(), {"content-type": "application/json"}
                answer = await client.post(url, content=content, headers=kind)
        except httpx.TimeoutException:
            raise self._failed(f"no answer from {self.place} in {self._timeout:g} s") from None
        except httpx.RequestError as error:
            reason = str(error) or type(error).__name__
            raise self._failed(f"no answer from {self.place}: {reason}") from None
        return self._content(answer)

    def _content(self, answer: httpx.Response) -> Any:
        text = answer.text.replace(self._key, "***") if self._key else answer.text
        if not answer.is_success:
            raise self._failed(openai.reason(text), answer)
        try:
            return json.loads(text)
        except ValueError:
            said = openai.line(text) or "nothing"
            raise Failed(f"{self.place} answered no JSON: {said}", answer.status_code) from None

    def _failed(self, reason: str, answer: httpx.Response | None = None) -> Failed:
        """Worth another try: no answer at all, a server in trouble, a server that is too busy."""
        if answer is None:
            return Failed(reason, again=True)
        status, after = answer.status_code, retry_after(answer.headers.get("retry-after", ""))
        again = status in (408, 425, 429) or status >= 500
        if after > LONGEST_WAIT:
            again, reason = False, f"{reason} (it asks to wait {after:g} s)"
        hint = HINTS.get(status, "")
        return Failed(f"HTTP {status} from {self.place}: {reason}{hint}", status, again, after)


def _address(base_url: str) -> httpx.URL:
    with suppress(httpx.InvalidURL):
        url = httpx.URL(base_url)
        if url.scheme in ("http", "https") and url.host:
            return url
    raise UsageError("the base URL of a server starts with http:// or https:// and names a host")


def _again(error: BaseException) -> bool:
    return isinstance(error, Failed) and error.again


def _pause(state: tenacity.RetryCallState) -> float:
    """As long as the server says and a little more, so that not all come back at once."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Failed) and error.after:
        return error.after + random.uniform(0, 0.25)
    return BACK_OFF(state)


def retry_after(said: str) -> float:
    """Seconds to wait: the header holds them, or a date (RFC 9110, section 10.2.3)."""
    with suppress(ValueError):
        return max(0.0, float(said))
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    return 0.0


class HTTP:
    """An engine that asks a server, from a thread with an event loop of its own.

    `base_url` ends as the server's documents say, mostly in /v1. A `timeout` is in seconds and
    for each try; connection errors, timeouts, 429 and 5xx are tried `attempts` times in all.
    `extra_body` is merged into every completion. What it can be asked for, and on what
    conditions, stands in served.py.
    """

    wants: tuple[type[Want], ...] = (Text, Labels, Likelihood)
    special_tokens: tuple[str, ...] = ()  # a server does not list them

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
        self.server = Server(base_url, api_key, concurrency, timeout, attempts)
        self.served = Served(wire, self.server)
        self._done: queue.SimpleQueue[tuple[Hashable, Reply | Exception]] = queue.SimpleQueue()
        self._out = 0
        self._tasks: set[asyncio.Task[None]] = set()
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
            self._out -= 1
            if isinstance(reply, Exception):
                raise reply
            finished.append((ticket, reply))
        return finished

    def check(self, request: Request) -> None:
        """Ask the server one request of this form; `EngineError` says what stands in the way."""
        try:
            self._run(self.served.check(request))
        except Failed as failed:
            if not failed.overflows:  # a form can be right and one prompt of it too long
                raise EngineError(failed.line) from None

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
        await self.server.close()

    def _start(self, ticket: Hashable, request: Request) -> None:
        task = self._loop.create_task(self._finish(ticket, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, ticket: Hashable, request: Request) -> None:
        try:
            self._done.put((ticket, await self.served.reply(request)))
        except Exception as defect:  # raised by poll: nobody waits for what cannot come
            self._done.put((ticket, defect))
