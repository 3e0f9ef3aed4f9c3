"""A real OpenAI-compatible server for tests: vLLM on the CPU, on a free loopback port."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
