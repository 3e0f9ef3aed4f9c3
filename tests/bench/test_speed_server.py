"""The server under load: 200 clients for a minute, beside vLLM's own rerank of the same scorer."""

import asyncio
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import tiny
from bench.report import record
from servers import openai_server
from serving import expected, lists, load, rerank_server

from rerank import Reranker

CLIENTS, SECONDS, WARM = 200, 60, 10
MOST = 1.15
UNCACHED = ("--no-enable-prefix-caching",)
LOAD = (
    f"{CLIENTS} clients for {SECONDS} s, each asking again as soon as it is answered: 20 documents"
    " a request, every answer compared with the library's. Memory is the server's after"
    f" {WARM} s and at the end."
)
NEXT_TO_VLLM = (
    f"{LOAD} A cross-encoder (a tiny Qwen3 with one label) behind our server and behind vLLM's own"
    " /v1/rerank, both running, one asked after the other. Neither remembers what it has answered:"
    " vLLM's prefix cache is off, and a cross-encoder has none here. The goal is a p50 and a p99 of"
    f" at most {MOST} times vLLM's."
)
LABELS = (
    f"{LOAD} A tiny Qwen3 chat model in vLLM under FIRST, with room for {CLIENTS} requests."
    " Then half as many clients more for 10 s: who finds no room is told by 429 when to come back."
)


def asked(running, asks, clients=CLIENTS, seconds=SECONDS, statuses=frozenset({200})):
    """Load, every answer of which is there and right."""
    found = asyncio.run(load(running, asks, clients, seconds))
    print(f"\n{found.row} {dict(found.statuses)}, {len(found.wrong)} wrong {found.wrong[:2]}")
    assert found.wrong == [] and set(found.statuses) == statuses
    assert found.statuses.total() == found.asked and found.statuses[200] == len(found.seconds)
    return found


def row(name, clients, found):
    return {"server": name, "clients": clients, **found.row, "MiB, warm": "-", "MiB, end": "-"}


def flat(found):
    """What a server holds in memory, which must not grow."""
    warm, end = found.memory[WARM - 1], found.memory[-1]
    assert end < 1.05 * warm + 16
    return {"MiB, warm": warm, "MiB, end": end}


@pytest.fixture(scope="module")
def scorers(tmp_path_factory):
    """Both servers of one cross-encoder, warm, and what is asked of them."""
    folder = tmp_path_factory.mktemp("scorer")
    model = tiny.classifier(folder / "model")
    with Reranker(str(model)) as reranker:
        asks = expected(reranker, lists())
    with ExitStack() as stack:
        ours = stack.enter_context(rerank_server(folder, str(model)))
        url = stack.enter_context(openai_server(model, "--runner", "pooling", *UNCACHED))
        theirs = SimpleNamespace(port=int(url.split(":")[2].split("/")[0]), mebibytes=0.0)
        for running in (ours, theirs):
            asked(running, asks, 20, 3)
        yield ours, theirs, asks


def test_a_scorer_is_as_fast_behind_our_server_as_behind_vllms(scorers):
    ours, theirs, asks = scorers
    found = [asked(running, asks) for running in (ours, theirs)]
    single = [asked(running, asks, 1, 10) for running in (ours, theirs)]
    rows = [
        row("rerank", CLIENTS, found[0]) | flat(found[0]),
        row("vLLM", CLIENTS, found[1]),
        row("rerank", 1, single[0]),
        row("vLLM", 1, single[1]),
    ]
    record("Server under load: a scorer", rows, NEXT_TO_VLLM)


def test_labels_answer_every_client_and_who_finds_no_room_may_come_again(tmp_path, monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    model, named = str(tiny.checkpoint(tmp_path / "model")), ["--method", "first-letters"]
    with Reranker(model, method="first-letters", engine="vllm") as reranker:
        asks = expected(reranker, lists())
    room = ["--engine", "vllm", "--max-waiting", str(CLIENTS)]
    with rerank_server(tmp_path, model, *named, *room) as running:
        asked(running, asks, 20, 3)
        found = asked(running, asks)
        over = asked(running, asks, CLIENTS + CLIENTS // 2, 10, frozenset({200, 429}))
        after = asked(running, asks, 20, 3)
    rows = [
        row("rerank", CLIENTS, found) | flat(found) | {"429": 0},
        row("over the bound", CLIENTS + CLIENTS // 2, over) | {"429": over.statuses[429]},
        row("right after", 20, after) | {"429": 0},
    ]
    record("Server under load: labels", rows, LABELS)
