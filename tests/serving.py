"""A real `rerank serve` on a free port, and many clients that ask it at once.

The client is a bare socket, so that what is measured is the server's.
"""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import httpx
import pytest

from rerank.server.scale import kind_of, relevance_of

LISTENING = re.compile(r"at http://(\S+?):(\d+)")


@dataclass
class Running:
    """A server's process and where it listens."""

    process: "subprocess.Popen[bytes]"
    log: Path
    port: int = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def mebibytes(self):
        """What the process holds in memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def stop(self, seconds=60.0):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def rerank_server(folder: Path, *options: str, start: float = 120.0, **environment: str):
    """`rerank serve` with these options; its log is in `folder`."""
    log = folder / "serve.log"
    command = [sys.executable, "-m", "rerank.cli", "serve", "--port", "0", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment
        )
    running = Running(process, log)
    try:
        running.port = _port(running, time.monotonic() + start)
        yield running
    finally:
        process.kill()
        process.wait()


def _port(running, end):
    while time.monotonic() < end and running.process.poll() is None:
        if found := LISTENING.search(running.log.read_text(errors="replace")):
            return int(found[2])
        time.sleep(0.1)
    pytest.fail(f"rerank serve did not start:\n{running.log.read_text(errors='replace')[-4000:]}")


class Client:
    """Asks an application in this process, from outside of any event loop."""

    def __init__(self, app):
        self.app = app

    def together(self, *asked):
        """Requests at once: (method, path, options) each."""

        async def all_of_them():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return await asyncio.gather(*(client.request(m, p, **o) for m, p, o in asked))

        return asyncio.run(all_of_them())

    def post(self, path="/rerank", body=None, **options):
        options = options or {"json": body}
        [answer] = self.together(("POST", path, options))
        return answer

    def get(self, path, **options):
        [answer] = self.together(("GET", path, options))
        return answer


class Connection:
    """One connection that stays open."""

    def __init__(self, port):
        self.port, self.streams = port, None

    async def post(self, path, body, **headers):
        """The status, the headers and the body of the answer."""
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(
            f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"{more}content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        said = await reader.readexactly(int(fields["content-length"]))
        if fields.get("connection") == "close":
            self.close()
        return int(head[0].split()[1]), fields, said

    def close(self):
        if self.streams:
            self.streams[1].close()
        self.streams = None


@dataclass
class Load:
    """What came back: statuses, seconds of the answers with 200, and what was wrong with any."""

    statuses: Counter = field(default_factory=Counter)
    seconds: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    asked: int = 0
    memory: list = field(default_factory=list)
    wall: float = 0.0

    def percentile(self, share):
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]

    @property
    def row(self):
        return {
            "answers": len(self.seconds),
            "a second": len(self.seconds) / self.wall,
            "p50, ms": 1000 * self.percentile(0.5),
            "p99, ms": 1000 * self.percentile(0.99),
        }


@dataclass(frozen=True)
class Ask:
    """A body to send, and what is wrong with an answer to it: nothing, or a reason."""

    body: bytes
    fault: object


async def load(running, asks, clients, seconds, path="/v1/rerank", patient=True):
    """So many clients ask one after the other, each as soon as it has its answer."""
    found, end = Load(), perf_counter() + seconds

    async def client(number):
        connection, turn = Connection(running.port), number
        while perf_counter() < end:
            ask = asks[turn % len(asks)]
            turn += clients + 1
            found.asked += 1
            begun = perf_counter()
            status, headers, said = await connection.post(path, ask.body)
            taken = perf_counter() - begun
            found.statuses[status] += 1
            if status == 200:
                found.seconds.append(taken)
                if fault := ask.fault(said):
                    found.wrong.append(fault)
            elif status == 429 and patient:
                await asyncio.sleep(int(headers["retry-after"]))
        connection.close()

    async def watch():
        while perf_counter() < end:
            await asyncio.sleep(1)
            found.memory.append(running.mebibytes)

    begun = perf_counter()
    await asyncio.gather(*map(client, range(clients)), watch())
    found.wall = perf_counter() - begun
    return found


def lists(count=100, documents=20, words=8, seed=0):
    """Queries with documents, no two alike."""
    chance = random.Random(seed)
    said = "which passage is about the query yes no relevant true false most"
    known = said.split()

    def text():
        return " ".join(chance.choices(known, k=chance.randint(words // 2, words)))

    return [(f"{text()} {q}", [f"{text()} {d}" for d in range(documents)]) for q in range(count)]


def expected(reranker, asked):
    """Asks whose right answers are those of the library."""
    found = reranker.rerank_many(asked)
    return [
        _ask(query, docs, [hit.index for hit in ranking], _numbers(ranking))
        for (query, docs), ranking in zip(asked, found, strict=True)
    ]


def _numbers(ranking):
    """The number that each document should get; None where there is an order alone."""
    kind = kind_of(ranking)
    if kind == "rank":
        return None
    return {hit.index: relevance_of(hit, kind) for hit in ranking}


def _ask(query, docs, order, numbers, close=1e-3):
    body = json.dumps({"query": query, "documents": docs}).encode()

    def fault(said):
        results = json.loads(said)["results"]
        found = [one["index"] for one in results]
        if sorted(found) != sorted(order):
            return f"not a permutation: {found}"
        if numbers is None:
            return "" if found == order else f"{found}, not {order}"
        off = max(abs(one["relevance_score"] - numbers[one["index"]]) for one in results)
        return "" if off < close else f"a score is off by {off}"

    return Ask(body, fault)
