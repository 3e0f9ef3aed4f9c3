"""On a GPU: the labels' scores are exact, no two tie, every method ranks, FIRST says what is first.

The models are made here: a small one of random weights, rounded to what a GPU computes in, and the
boxed decoder. Scores are compared with transformers in float32 on the same card.
"""

import os
import random
from dataclasses import replace
from itertools import combinations
from statistics import fmean

import pytest
import tiny
from bench.lists import reranked
from bench.report import record
from costs import NARROW
from gpu import marks, shapes
from numpy import float32, spacing

from rerank.engines.transformers import Transformers
from rerank.engines.vllm import VLLM
from rerank.methods import METHODS
from rerank.prompts import question_over, read_prompt
from rerank.wants import Labels, Text

WINDOWS = int(os.environ.get("GPU_WINDOWS", 1000))
COMPARED = min(60, WINDOWS)
CLOSE = 0.02
NEAR = 0.01  # of each other, in which pairs of scores are counted
ROOM = 2 * 2**30  # bytes for keys and values
PRECISIONS = "float32", "bfloat16"
PROMPTS = {
    "small": [
        "listwise/first",
        "setwise/setwise-labels",
        "pairwise/prp-labels",
        "pointwise/yes-no",
    ],
    "boxed-decoder": ["listwise/boxed"],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The tiny checkpoint, wider and deeper, in weights that bfloat16 holds exactly."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = tiny.checkpoint(tmp_path_factory.mktemp("small"), hidden=512, layers=12, spread=0.02)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module", params=PROMPTS)
def model(request, memory):
    """A checkpoint's name in the table, its folder or name, and the model in vLLM."""
    name, engine = request.param, None
    room = {"kv_cache_memory_bytes": ROOM} if memory else {}
    try:
        folder = request.getfixturevalue("small") if name == "small" else name
        options = {"dtype": "bfloat16", "max_model_len": 8192, "in_process": False}
        engine = VLLM(folder, gpu_memory_utilization=0.05, **options, **room)
        yield name, folder, engine
    finally:
        marks.say(name)
        if engine:
            engine.close()


@pytest.fixture(scope="module")
def passages():
    return shapes.lists(40, 100)


def windows(passages, count, wide=20, seed=1):
    """Queries, each with passages drawn by chance from those of all queries."""
    draw = random.Random(seed)
    docs = [doc for found in passages.values() for doc in found]
    queries = list(passages)
    return [(queries[at % len(queries)], draw.sample(docs, wide)) for at in range(count)]


def requests(prompt, engine, asked):
    worded = prompt.fitted(engine.special_tokens, engine.cut)
    wide = {"Rate": 1, "Compare": 2}.get(prompt.asks.__name__, 20)
    return [
        worded.wording(query, question_over(prompt.asks, docs[:wide])).request
        for query, docs in asked
    ]


def replies(engine, asked):
    """Every request's reply, in the order of the requests."""
    found = {}
    for ticket, request in enumerate(asked):
        engine.submit(ticket, request)
    while len(found) < len(asked):
        found.update(engine.poll())
    assert not any(reply.error or reply.overflow for reply in found.values())
    return [found[ticket] for ticket in range(len(asked))]


def test_label_scores_are_those_of_float32_transformers(model, passages):
    name, folder, engine = model
    exact, rounded = (Transformers(folder, dtype=d, max_model_len=8192) for d in PRECISIONS)
    rows = []
    for path in PROMPTS[name]:
        asked = requests(read_prompt(path), engine, windows(passages, COMPARED))
        there, own, here = (replies(each, asked) for each in (exact, rounded, engine))
        off, theirs = differences(there, here), differences(there, own)
        spread = [max(reply.scores) - min(reply.scores) for reply in there]
        rows.append({"model": name, "prompt": path, "requests": len(asked)})
        rows[-1] |= {"scores": len(off), "most off": max(off), "mean off": fmean(off)}
        rows[-1] |= {"transformers in bfloat16, most off": max(theirs)}
        rows[-1] |= {"best to worst label": fmean(spread)}
    record(f"Label scores against transformers in float32: {name}", rows, SCORES)
    if name == "small":
        assert max(row["most off"] for row in rows) < CLOSE


def differences(some, others):
    """Between the scores of the same requests."""
    pairs = zip(some, others, strict=True)
    return [abs(a - b) for x, y in pairs for a, b in zip(x.scores, y.scores, strict=True)]


SCORES = (
    "Natural logarithms of probability over the whole vocabulary: vLLM computes in bfloat16 with"
    " its head in float32, transformers in float32 from the same bfloat16 weights."
    " Best to worst label: the mean distance in a request, beside which an error is to be seen."
    f" The goal is less than {CLOSE}."
)


def test_no_window_has_a_tie(model, passages):
    name, _, engine = model
    prompt = read_prompt(PROMPTS[name][0])
    found = replies(engine, requests(prompt, engine, windows(passages, WINDOWS, seed=2)))
    ties = sum(len(set(reply.scores)) < len(reply.scores) for reply in found)
    apart = [abs(a - b) for r in found for a, b in combinations(r.scores, 2)]
    grid = fmean(float(spacing(float32(abs(score)))) for r in found for score in r.scores)
    row = {"model": name, "windows": len(found), "pairs": len(apart), "with a tie": ties}
    row |= {"nearest two scores": min(apart), "float32's grid there": grid}
    row["ties by chance alone"] = sum(d < NEAR for d in apart) * grid / (2 * NEAR)
    record(f"Ties among 20 labels: {name}", [row], TIES)
    if name == "small":  # what the wired decoder makes of random words may be the same for two
        assert ties == 0


TIES = (
    "By chance alone: as many pairs as would fall on one number of float32, if near it they are"
    f" spread as they are within {NEAR} of each other. Equal scores keep the first stage's order."
)


def test_first_says_what_the_model_would_write_first(model, passages):
    """Where what a model would write next is a label at all, it is the one with the best score.

    Two computations of one request differ by as much as bfloat16 rounds, so the label written may
    be behind the best one by that much: what differs is measured on the same requests.
    """
    name, _, engine = model
    prompt = read_prompt(PROMPTS[name][0])
    scored = requests(prompt, engine, windows(passages, COMPARED))
    first, again = replies(engine, scored), replies(engine, scored)
    written = replies(engine, [_writing(request) for request in scored])
    places = {label.strip(): place for place, label in enumerate(scored[0].want.labels)}
    said = [(s.scores, places.get(w.text.strip())) for s, w in zip(first, written, strict=True)]
    behind = [max(scores) - scores[place] for scores, place in said if place is not None]
    noise = max(differences(first, again))
    row = {"model": name, "windows": len(said), "a label is written": len(behind)}
    row |= {"and it is FIRST's best": behind.count(0), "most behind it": max(behind, default=0.0)}
    row["two computations differ by"] = noise
    record(f"FIRST against generation: {name}", [row])
    assert max(behind, default=0) <= 2 * noise
    if name == "boxed-decoder":
        assert behind


def _writing(request):
    assert isinstance(request.want, Labels)
    return replace(request, want=Text(1))


@pytest.mark.parametrize("model", ["small"], indirect=True)  # the other knows its own prompts only
def test_every_method_ranks(model, passages):
    _, _, engine = model
    few = {query: docs[:8] for query, docs in list(passages.items())[:2]}
    rows = []
    for method, row in METHODS.items():
        if not row.prompt or read_prompt(row.prompt).reader.wants not in engine.wants:
            continue
        if method == "boxed-decoder":
            continue
        jobs = reranked(engine, method, few, 12, NARROW.get(row.strategy, {}))
        assert all(set(job.ranking) == set(few[job.query]) for job in jobs)
        rows.append({"method": method, "calls": sum(job.calls for job in jobs)})
        rows[-1] |= {"prompt tokens": sum(job.usage.prompt_tokens for job in jobs)}
    record("Every method through vLLM", rows)
