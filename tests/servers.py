"""Real servers for tests on free loopback ports: vLLM on the CPU, and files that are fetched."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
LIMITS = ["--enforce-eager", "--dtype", "float32", "--block-size", "32", "--max-logprobs", "64"]


@contextmanager
def openai_server(
    checkpoint: Path, *options: str, model: str = "tiny", start: float = 480.0
) -> Iterator[str]:
    """Serve `checkpoint` as `model`; gives the base URL, ending in /v1. Starting takes a minute.

    vLLM's output goes to server.log beside the checkpoint and into the failure of a test.
    """
    port = _free_port()
    log = checkpoint.parent / "server.log"
    # the `vllm serve` command does not start in the CPU build: it looks for a package "vllm"
    module = ["-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1"]
    named = ["--port", str(port), "--model", str(checkpoint), "--served-model-name", model]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, *module, *named, *LIMITS, "--enable-prompt-tokens-details", *options],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | ENVIRONMENT,
            start_new_session=True,
        )
    try:
        _wait(server, f"http://127.0.0.1:{port}/health", start, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        with suppress(ProcessLookupError):  # it died, and nothing of it is left
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(server: "subprocess.Popen[bytes]", health: str, seconds: float, log: Path) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"vLLM did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Archives(ThreadingHTTPServer):
    """Files by path, on a free loopback port. `asked` are the ranges that were asked for.

    `breaks` answers end after as many bytes as each says, whatever their headers promised.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Archive)
        self.files, self.asked, self.breaks = files, list[str | None](), list[int]()
        self.ranges = True
        self.address = f"http://127.0.0.1:{self.server_port}"


class _Archive(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Archives)
        asked = self.headers.get("Range")
        server.asked.append(asked)
        content = server.files.get(self.path)
        begin = int(asked.split("=")[1].rstrip("-")) if asked and server.ranges else 0
        if content is None or begin >= len(content):
            self.send_error(404 if content is None else 416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        self.wfile.write(content[begin:][: server.breaks.pop() if server.breaks else None])

    def log_message(self, *said: object) -> None:
        """Nothing to the test's output."""


@contextmanager
def archives(files: dict[str, bytes]) -> Iterator[Archives]:
    with Archives(files) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
