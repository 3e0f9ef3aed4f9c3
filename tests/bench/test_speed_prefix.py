"""Reading once what the prompts of a batch begin with, against reading every prompt whole."""

from time import process_time

import pytest
import tiny
from bench.lists import candidates, reranked
from bench.report import record

from rerank.engines.transformers import Transformers

LISTS = {  # method: queries, candidates of each
    "prp-allpairs-labels": (1, 13),
    "prp-sliding-labels": (1, 12),
    "setwise-heapsort-labels": (2, 12),
    "qwen3-reranker": (2, 40),
    "yes-no": (2, 40),
}
ROWS = []


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    folder = tiny.checkpoint(tmp_path_factory.mktemp("m"), hidden=256, layers=4)
    yield Transformers(str(folder))
    note = (
        "The transformers engine on dl19, 2.9 M random parameters, seconds of CPU on one thread:"
        " every prompt read whole, against what a batch has in common read once."
    )
    record("transformers: a shared prefix", ROWS, note)


@pytest.mark.parametrize("method", LISTS)
def test_what_prompts_begin_with_is_read_once(engine, method):
    queries, depth = LISTS[method]
    lists, seconds = candidates("dl19", queries, depth), {}
    for engine._model.shares in (False, True):
        begun = process_time()
        jobs = reranked(engine, method, lists)
        seconds[engine._model.shares] = process_time() - begun
    row = {"method": method, "queries": queries, "candidates": depth}
    row |= {"prompts": sum(job.calls for job in jobs), "whole, s": seconds[False]}
    ROWS.append(row | {"once, s": seconds[True], "faster": seconds[False] / seconds[True]})
