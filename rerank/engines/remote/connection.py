"""One server: connections that stay open, and tries until it answers.

The one place that opens connections. It sends JSON and gets JSON, and knows no request and no
model. The API key leaves this file in one header only.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import tenacity

from rerank.engines.remote import openai
from rerank.engines.remote.openai import Body, Failed
from rerank.errors import UsageError

BACK_OFF = tenacity.wait_exponential(multiplier=0.5, max=30) + tenacity.wait_random(0, 1)
HINTS = {
    401: " (is the API key given, and the right one?)",
    403: " (may this API key ask for this model?)",
    404: " (is the model's name right, and does the base URL end as the server's, mostly in /v1?)",
}
ANSWERS = {"choices", "data", "prompt", "tokens"}  # what an answer has that is read, not quoted
LONGEST_WAIT = 300.0  # a server that asks for more has a quota, not a hiccup


class Server:
    """Each call retried, `concurrency` at once, over connections that stay open.

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
            "timeout": None,  # a try has one of its own: httpx's is for each part of an answer
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
            async with asyncio.timeout(self._timeout):
                answer = await _sent(client, url, body)
        except TimeoutError:
            raise self._failed(f"no answer from {self.place} in {self._timeout:g} s") from None
        except httpx.RequestError as error:
            reason = str(error) or type(error).__name__
            raise self._failed(f"no answer from {self.place}: {reason}") from None
        return self._content(answer)

    def _content(self, answer: httpx.Response) -> Any:
        if not answer.is_success:
            raise self._failed(openai.reason(self._keyless(answer)), answer)
        try:
            body = json.loads(answer.text)
            known = isinstance(body, dict) and not ANSWERS.isdisjoint(body)
            return body if known else json.loads(self._keyless(answer))
        except ValueError:
            said = openai.line(self._keyless(answer)) or "nothing"
            raise Failed(f"{self.place} answered no JSON: {said}", answer.status_code) from None

    def _keyless(self, answer: httpx.Response) -> str:
        """What may be quoted to a user; a model may say what is a key by chance."""
        return answer.text.replace(self._key, "***") if self._key else answer.text

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


async def _sent(client: httpx.AsyncClient, url: str, body: Body | None) -> httpx.Response:
    if body is None:
        return await client.get(url)
    # ASCII, so that a lone surrogate in a document cannot stop the run
    content, kind = json.dumps(body).encode(), {"content-type": "application/json"}
    return await client.post(url, content=content, headers=kind)


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
        date = parsedate_to_datetime(said)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)  # HTTP knows no other zone
        return max(0.0, date.timestamp() - time.time())
    return 0.0
