"""On a GPU: how near this project's methods come to what the card can do at the least.

Weights of chance; passages of 130 tokens, 100 to a query; nothing is in the prefix cache at first.
"""

import os

import pytest
from bench.report import record
from gpu import shapes
from gpu.floors import BANDWIDTH, RATE, Floor
from gpu.turns import Both

DEPTH, CONTEXT = 100, 20_000
WRITES = {"listwise": 90, "full-ranking": 400}
"""Tokens that a model writes for 20 and for 100 passages; one of chance goes on to the limit."""

PLAN = {  # queries of each method; True: the same requests are given to vLLM all at once, too
    "Qwen3-8B": [
        ("yes-no", 24, True),
        ("first", 24, True),
        ("listwise", 16, True),
        ("setwise-heapsort-labels", 12, True),
        ("prp-heapsort-labels", 6, True),
        ("full-ranking", 8, True),
    ],
    "Qwen3-0.6B": [
        ("yes-no", 100, True),
        ("first", 43, True),
        ("listwise", 43, True),
        ("setwise-heapsort-labels", 43, True),
        ("prp-heapsort-labels", 24, True),
        ("full-ranking", 24, True),
    ],
    "Mistral-7B": [("first", 16, False), ("listwise", 16, False)],
}
PLAN["tiny"] = PLAN["Qwen3-0.6B"]
SCALE = float(os.environ.get("GPU_SCALE", 1))
ASKED = os.environ.get("GPU_SHAPES", "Qwen3-8B,Qwen3-0.6B,Mistral-7B").split(",")
TIMES = 3
FULL, ALONE = [], []


@pytest.fixture(scope="module", params=ASKED)
def served(request, tmp_path_factory):
    """A shape's name, and the model behind both drivers."""
    name = request.param
    folder = shapes.written(tmp_path_factory.mktemp("shape"), shapes.SHAPES[name])
    options = {"load_format": "dummy", "dtype": "bfloat16", "max_model_len": CONTEXT}
    both = Both(str(folder), gpu_memory_utilization=0.85, **options)
    both.in_turn("listwise", shapes.lists(2, 40, seed=7), 8)  # kernels are compiled and chosen
    both.in_turn("yes-no", shapes.lists(4, DEPTH, seed=8))
    yield name, both
    both.close()


def test_many_queries(served):
    name, both = served
    for method, queries, both_ways in PLAN[name]:
        queries = max(1, round(queries * SCALE))
        turn = both.in_turn(method, shapes.lists(queries, DEPTH), WRITES.get(method))
        floor = Floor(shapes.SHAPES[name]).busy(turn.reads, queries)
        row = {"model": name, "method": method, "queries": queries, "requests": len(turn.reads)}
        row |= {"prompt tokens": sum(read.prompt for read in turn.reads)}
        row |= {"cached": sum(read.cached for read in turn.reads)}
        row |= {"written": sum(read.written for read in turn.reads), "wall, s": turn.wall}
        row |= {"ms/query": 1e3 * turn.wall / queries, "floor, ms": 1e3 * floor / queries}
        row |= {"of the floor's rate": floor / turn.wall, "host/wall": turn.host / turn.wall}
        row |= {"all threads/wall": turn.threads / turn.wall}
        row["of all at once"] = both.at_once(turn).wall / turn.wall if both_ways else ""
        FULL.append(row)
        print(row, flush=True)
    record("Many queries", FULL, THROUGHPUT)


def test_one_query_alone(served):
    name, both = served
    for method in dict.fromkeys(method for method, _, _ in PLAN[name]):
        turns = [
            both.in_turn(method, shapes.lists(1, DEPTH, 100 + seed), WRITES.get(method))
            for seed in range(TIMES)
        ]
        turn = sorted(turns, key=lambda each: each.wall)[TIMES // 2]
        floor = Floor(shapes.SHAPES[name]).alone(turn.reads, turn.rounds)
        row = {"model": name, "method": method, "requests": len(turn.reads)}
        row |= {"rounds": turn.rounds, "latency, ms": 1e3 * turn.wall, "floor, ms": 1e3 * floor}
        row |= {"of the floor's rate": floor / turn.wall, "host, ms": 1e3 * turn.host}
        ALONE.append(row)
        print(row, flush=True)
    record("One query alone", ALONE, LATENCY)


LATENCY = (
    f"The median of {TIMES} queries, one after the other; the floor: operations at"
    f" {RATE / 1e12:.0f} TFLOP/s, or the weights from memory at {BANDWIDTH / 1e12} TB/s, once a"
    " round. Host: CPU time of the thread that words, schedules and reads; vLLM computes in another"
    " process."
)
THROUGHPUT = (
    "All queries at once through `drive`. The floor counts the tokens that were computed, those not"
    " in the prefix cache, and takes as many sequences to write together as there are queries. All"
    " at once: vLLM's own LLM.generate given the same requests, in seconds, over ours. Host: CPU"
    " time of the thread that words, schedules and reads; all threads: and of those that tokenise"
    " beside it; vLLM computes in another process. The goals are 0.6 of the floor's rate (FIRST and"
    " pointwise at 8B), 0.95 of all at once, a host share of at most 0.05 at 8B and 0.2 at 0.6B."
)
