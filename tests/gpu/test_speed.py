"""On a GPU: how near this project's methods come to what the card can do at the least.

Weights of chance; passages of 130 tokens, 100 to a query; nothing is in the prefix cache at first.
"""

import os
import sys

import pytest
from bench.report import record
from gpu import marks, shapes
from gpu.floors import BANDWIDTH, RATE, Floor
from gpu.turns import Both

DEPTH, CONTEXT = 100, 20_000
WRITES = {"listwise": 90, "full-ranking": 400}
"""Tokens that a model writes for 20 and for 100 passages; one of chance goes on to the limit."""

PLAN = {  # queries of each method; True: the same requests are given to vLLM all at once, too
    "Qwen3-8B": [
        ("listwise", 43, True),
        ("prp-heapsort-labels", 12, True),
        ("first", 24, True),
        ("yes-no", 24, True),
        ("setwise-heapsort-labels", 12, True),
        ("full-ranking", 12, True),
    ],
    "Qwen3-0.6B": [
        ("yes-no", 300, False),
        ("prp-heapsort-labels", 150, True),
        ("yes-no", 43, True),
        ("first", 43, True),
        ("listwise", 43, True),
        ("setwise-heapsort-labels", 43, True),
        ("full-ranking", 12, True),
    ],
    "Mistral-7B": [
        ("first", 8, True),
        ("listwise", 8, False),
    ],
}
PLAN["tiny"] = PLAN["Qwen3-0.6B"]
SCALE = float(os.environ.get("GPU_SCALE", 1))
ASKED = os.environ.get("GPU_SHAPES", "Qwen3-8B,Qwen3-0.6B,Mistral-7B").split(",")
ROOM = {"Qwen3-8B": 0.5, "Qwen3-0.6B": 0.33, "Mistral-7B": 0.17}
"""Each one's share of the memory for keys and values."""

BEFORE = ["small", "boxed-decoder", *(f"{name}, started" for name in ASKED)]
TIMES = {"listwise": 1, "full-ranking": 1, "prp-heapsort-labels": 1}
"""How often a query alone is measured: a thousand steps are a mean already; others three times."""


@pytest.fixture(scope="module", params=ASKED)
def served(request, tmp_path_factory, memory):
    """A shape's name, and the model behind both drivers, once the card is its own."""
    name, both = request.param, None
    folder = shapes.written(tmp_path_factory.mktemp("shape"), shapes.SHAPES[name])
    options = {"load_format": "dummy", "dtype": "bfloat16", "max_model_len": CONTEXT}
    if memory:
        options["kv_cache_memory_bytes"] = int(memory * ROOM[name])
    try:
        both = Both(str(folder), gpu_memory_utilization=0.05, **options)
        marks.say(f"{name}, started")
        marks.wait(*BEFORE, seconds=marks.STARTS)
        marks.wait(*ASKED[: ASKED.index(name)])
        both.in_turn("listwise", shapes.lists(2, 40, seed=7), 8)  # kernels are chosen
        both.in_turn("yes-no", shapes.lists(4, DEPTH, seed=8))
        yield name, both
    finally:
        marks.say(f"{name}, started")
        marks.say(name)
        if both:
            both.close()


def test_many_queries(served):
    name, both = served
    rows, stages = [], []
    for place, (method, queries, both_ways) in enumerate(PLAN[name]):
        queries = max(1, round(queries * SCALE))
        turn = both.in_turn(method, shapes.lists(queries, DEPTH, place), WRITES.get(method))
        floor = Floor(shapes.SHAPES[name]).busy(turn.reads, queries)
        row = {"method": method, "queries": queries, "requests": len(turn.reads)}
        row |= {"prompt tokens": sum(read.prompt for read in turn.reads)}
        row |= {"cached": sum(read.cached for read in turn.reads)}
        row |= {"written": sum(read.written for read in turn.reads), "wall, s": turn.wall}
        row |= {"ms/query": 1e3 * turn.wall / queries, "floor, ms": 1e3 * floor / queries}
        row["of the floor's rate"] = floor / turn.wall
        row["of all at once"] = both.at_once(turn).wall / turn.wall if both_ways else ""
        row |= {"host/wall": (turn.host - turn.inside) / turn.wall}
        row |= {"vLLM's part of this thread": turn.inside / turn.wall}
        row |= {"all threads/wall": turn.threads / turn.wall}
        rows.append(row)
        stages.append({"method": method, "queries": queries} | by_stage(turn))
        print("MEASURED", name, row, stages[-1], file=sys.stderr, flush=True)
    started = f" The model was started in {both.loading:.0f} s, beside the others."
    record(f"Many queries: {name}", rows, THROUGHPUT + started)
    record(f"Many queries, what a request takes: {name}", stages, STAGES)


def by_stage(turn):
    """Microseconds of the wall that each stage of this thread took for a request, in the mean."""
    ours, theirs = turn.stages, turn.theirs
    shown = {stage: ours[stage] for stage in ("prompt", "tokenise", "read")}
    shown |= {"hand over": ours["submit"] + ours["wait"] - theirs, "vLLM": theirs}
    shown["the rest"] = turn.wall - sum(turn.stages.values())
    return {f"{stage}, us": 1e6 * seconds / len(turn.asked) for stage, seconds in shown.items()}


def test_one_query_alone(served):
    name, both = served
    rows = []
    for place, method in enumerate(dict.fromkeys(method for method, _, _ in PLAN[name])):
        times = TIMES.get(method, 3)
        turns = [
            both.in_turn(method, shapes.lists(1, DEPTH, 100 + 3 * place + seed), WRITES.get(method))
            for seed in range(times)
        ]
        turn = sorted(turns, key=lambda each: each.wall)[times // 2]
        floor = Floor(shapes.SHAPES[name]).alone(turn.reads, turn.rounds)
        row = {"method": method, "requests": len(turn.reads), "rounds": turn.rounds}
        row |= {"latency, ms": 1e3 * turn.wall, "floor, ms": 1e3 * floor}
        row |= {"of the floor's rate": floor / turn.wall}
        row |= {"host, ms": 1e3 * (turn.host - turn.inside), "vLLM's part, ms": 1e3 * turn.inside}
        rows.append(row)
        print("MEASURED", name, row, file=sys.stderr, flush=True)
    record(f"One query alone: {name}", rows, LATENCY)


HOST = (
    "Host: CPU time of the thread that words, schedules and reads, without what it spends inside"
    " vLLM's add_request and step, which is beside it; vLLM computes in another process."
)
STAGES = (
    "By the wall, of the thread that words, schedules and reads: where it waits for other threads"
    " that counts. vLLM: its add_request and its step; the rest: the strategies and the scheduler."
)
LATENCY = (
    "The median of 3 queries, one after the other (one where it takes a second or more); the floor:"
    f" operations at {RATE / 1e12:.0f} TFLOP/s, or the weights from memory at"
    f" {BANDWIDTH / 1e12} TB/s, once a round. {HOST}"
)
THROUGHPUT = (
    "All queries at once through `drive`, with passages that no row before has shown. The floor"
    " counts the tokens that were computed, those not in the prefix cache, and takes as many"
    " sequences to write together as there are queries. All at once: vLLM's own LLM.generate given"
    f" the same requests, in seconds, over ours. {HOST} All threads: those that tokenise as well."
    " The goals are 0.6 of the floor's rate (FIRST and pointwise at 8B), 0.95 of all at once, a"
    " host share of at most 0.05 at 8B and 0.2 at 0.6B."
)
