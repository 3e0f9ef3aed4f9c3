"""Several servers of one model: each request goes to whoever has the least to do.

A server that fails a request is asked for its models; one that does not even answer that is left
out from then on, but for the last. It knows no connection and nothing of what is asked.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rerank.engines.remote.openai import Failed
from rerank.engines.remote.served import Served
from rerank.wants import Reply, Request

LOG = logging.getLogger(__name__)


class Fleet:
    """Balances by outstanding work, `at_once` requests for each server that there is."""

    def __init__(self, servers: Sequence[Served], at_once: int) -> None:
        self._out = dict.fromkeys(servers, 0)
        self._standing = list(servers)
        self._gone: dict[str, str] = {}  # the place of each server left out, and why
        self._room = asyncio.Semaphore(at_once * len(servers))

    async def check(self, request: Request) -> None:
        """Try one request at every server; raise what the first of them raises."""
        await asyncio.gather(*(server.check(request) for server in self._out))

    async def reply(self, request: Request) -> Reply:
        """The first answer; an error names every server, where none has one."""
        async with self._room:
            reasons = dict(self._gone)
            tried: set[Served] = set()
            while untried := [server for server in self._standing if server not in tried]:
                server = min(untried, key=self._out.__getitem__)
                tried.add(server)
                try:
                    with self._counted(server):
                        return await server.reply(request)
                except Failed as failed:
                    reasons[server.place] = failed.line
                    await self._look_at(server, failed)
            return Reply(error="; ".join(reasons.values()))

    @contextmanager
    def _counted(self, server: Served) -> Iterator[None]:
        self._out[server] += 1
        try:
            yield
        finally:
            self._out[server] -= 1

    async def _look_at(self, server: Served, failed: Failed) -> None:
        """Leave out a server that is gone, if another is left."""
        if len(self._standing) == 1 or await server.stands():
            return
        if server in self._standing and len(self._standing) > 1:  # others may have looked meanwhile
            self._standing.remove(server)
            self._gone[server.place] = failed.line
            LOG.warning("%s is left out: %s", server.place, failed.line)
