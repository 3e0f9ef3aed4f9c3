"""`rerank serve` as a process: the clients that people have, many at once, and its end."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from serving import Connection, expected, lists, load, rerank_server
from shared import contract

from rerank import Reranker

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = [
    *("cohere", "cohere-haystack", "haystack-ai", "httpx", "jina-haystack"),
    *("langchain-cohere", "langchain-community", "langchain-nvidia-ai-endpoints"),
    *("langchain-voyageai", "litellm", "llama-index-postprocessor-cohere-rerank"),
    *("llama-index-postprocessor-jinaai-rerank", "llama-index-postprocessor-tei-rerank"),
    *("openai", "rerankers"),
]
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HAYSTACK_TELEMETRY_ENABLED": "False"}


def test_every_call_of_the_real_clients_is_answered(tmp_path):
    """Thirty-one calls; the clients live in an environment of their own, as they do anywhere."""
    calls = contract("clients.py")
    uv, venv = [sys.executable, "-m", "uv"], tmp_path / "venv"
    constraints = ["--constraint", ROOT / "constraints" / "clients.txt"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, venv], check=True)
    python = venv / "bin" / "python"
    install = [*uv, "pip", "install", "--quiet", "--python", python, *constraints, *CLIENTS]
    subprocess.run(install, check=True)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | QUIET
    with rerank_server(tmp_path) as running:
        asked = [python, calls, running.url]
        said = subprocess.run(asked, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert said.stdout.splitlines()[-1] == "ok 31 bad 0", said.stdout + said.stderr[-2000:]


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A tiny scorer behind a server that takes 100 requests at once, and what is asked of it."""
    folder = tmp_path_factory.mktemp("scored")
    model = str(tiny.classifier(folder / "model"))
    with Reranker(model) as reranker:
        asks = expected(reranker, lists())
    with rerank_server(folder, model, "--max-waiting", "100") as running:
        yield running, asks


def ask(running, asks):
    """One request that must be answered, and rightly."""

    async def one():
        status, _, said = await Connection(running.port).post("/v1/rerank", asks[0].body)
        return status, asks[0].fault(said)

    assert asyncio.run(one()) == (200, "")


def test_a_hundred_clients_get_their_own_answers(scored):
    running, asks = scored
    found = asyncio.run(load(running, asks, 100, 5))
    assert set(found.statuses) == {200} and found.statuses[200] == found.asked
    assert found.wrong == []


def test_over_the_bound_clients_are_told_when_to_come_again_and_then_all_is_well(scored):
    running, asks = scored
    found = asyncio.run(load(running, asks, 200, 3))
    assert set(found.statuses) == {200, 429} and found.wrong == []
    ask(running, asks)


def test_a_server_that_is_told_to_stop_answers_what_it_has_taken(scored):
    running, asks = scored

    async def stopped_in_between():
        connections = [Connection(running.port) for _ in range(60)]
        posts = [c.post("/v1/rerank", a.body) for c, a in zip(connections, asks, strict=False)]
        answers = asyncio.gather(*posts)
        await asyncio.sleep(0.5)
        running.process.terminate()
        return await answers

    answers = asyncio.run(stopped_in_between())
    faults = [a.fault(said) for a, (_, _, said) in zip(asks, answers, strict=False)]
    assert {status for status, _, _ in answers} == {200} and set(faults) == {""}
    running.process.wait(30)
    assert "Traceback" not in running.log.read_text()


def test_two_hundred_clients_share_a_model_that_reads_labels(tmp_path):
    model = str(tiny.checkpoint(tmp_path / "model"))
    options = {"method": "first-letters", "engine": "transformers"}
    with Reranker(model, **options) as reranker:
        asks = expected(reranker, lists())
    asked = [part for name, value in options.items() for part in (f"--{name}", value)]
    with rerank_server(tmp_path, model, *asked) as running:
        found = asyncio.run(load(running, asks, 200, 5))
    assert set(found.statuses) == {200} and found.statuses[200] == found.asked
    assert found.wrong == []


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--host", "192.0.2.1"], 2, "cannot listen at 192.0.2.1"),
        (["--method", "no-such"], 2, "no method 'no-such'"),
        (["/no/such/folder"], 4, "no such folder"),
    ],
)
def test_what_cannot_be_served_is_one_line_before_anything_listens(options, code, says):
    command = [sys.executable, "-m", "rerank.cli", "serve", "--port", "0", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == code and says in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
