"""What a server takes: a body of so many bytes, so many documents, so many requests at once.

Whatever is wrong with a request is a `Refused`, with the code that HTTP has for it. It knows no
web framework, and repeats nothing of what a request says.
"""

import hmac
import re
from collections.abc import AsyncIterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

RETRY_AFTER = 1
"""Seconds: any answer that leaves the server frees a place, so a place is never far."""


TORN = re.compile(rb"(?i)\\\\|\\ud[89ab]..\\ud[c-f]..|(\\ud[89a-f]..)")
"""Half of a surrogate pair in JSON, as scraped texts have it (third alternative)."""


class Refused(Exception):
    """A request that gets no answer, and why in one line; `hint` stands in the headers."""

    def __init__(self, status: int, why: str, hint: dict[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.hint = status, why, hint or {}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may bring and take: bytes, documents, characters of a text, seconds.

    `at_once` requests are in the house at most; the next are asked to come again.
    """

    body: int = 4 * 2**20
    documents: int = 1000
    characters: int = 200_000
    seconds: float = 60.0
    at_once: int = 512

    def check(self, query: str, documents: Sequence[str], instruction: str = "") -> None:
        """Refuse what is too much before any of it is read by a model."""
        if not documents:
            raise Refused(400, "`documents` must not be empty")
        if len(documents) > self.documents:
            what = f"{len(documents)} documents; this server takes {self.documents} at a time"
            raise Refused(422, what)
        for name, text in _named(query, instruction, documents):
            if len(text) > self.characters:
                what = f"{name} has {len(text)} characters; this server takes {self.characters}"
                raise Refused(422, what)


def _named(query: str, instruction: str, documents: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from (("the query", query), ("the instruction", instruction))
    yield from ((f"document {place}", text) for place, text in enumerate(documents))


class Gate:
    """Counts the requests that are in the house, and lets no more in than there is room for."""

    def __init__(self, at_once: int) -> None:
        self.at_once, self.inside = at_once, 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        if self.inside >= self.at_once:
            why = f"{self.inside} requests are waiting already; try again in {RETRY_AFTER} s"
            raise Refused(429, why, {"retry-after": str(RETRY_AFTER)})
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


def admit(key: str | None, authorization: str | None) -> None:
    """Refuse who does not bring the key; how long that takes says nothing about the key."""
    if key is None:
        return
    scheme, _, token = (authorization or "").partition(" ")
    same = hmac.compare_digest(token.strip().encode("latin-1"), key.encode())  # a header's bytes
    if scheme.lower() != "bearer" or not same:
        why = "the API key is missing or wrong; send it as: Authorization: Bearer KEY"
        raise Refused(401, why, {"www-authenticate": "Bearer"})


async def read_body(chunks: AsyncIterable[bytes], declared: str | None, limit: int) -> bytes:
    """The whole body, or none of it: what is too long is not even waited for."""
    if declared is not None and declared.isdecimal() and int(declared) > limit:
        raise _too_long(limit)
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise _too_long(limit)
    return bytes(body)


def read_object(body: bytes, content_type: str | None) -> dict[str, Any]:
    """The JSON object in a body, without its nulls: a client that says null has not decided."""
    kind = (content_type or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "send JSON, with: Content-Type: application/json")
    try:
        given = from_json(TORN.sub(_mended, body) if b"\\ud" in body.lower() else body)
    except ValueError as wrong:
        raise Refused(400, f"the body is not JSON: {wrong}") from None
    if not isinstance(given, dict):
        raise Refused(400, "the body is JSON, but no object")
    return {key: value for key, value in given.items() if value is not None}


def _mended(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if match[1] else match[0]


def _too_long(limit: int) -> Refused:
    return Refused(413, f"the body is longer than {limit} bytes, the most that this server takes")
