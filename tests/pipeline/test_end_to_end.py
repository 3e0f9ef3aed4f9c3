"""Recipes of every kind on NovelEval through a real vLLM: in this process, and as a server."""

import gzip
import math
from collections import defaultdict

import pytest
from servers import openai_server
from shared import collection
from tiny import checkpoint

from rerank import pipeline
from rerank.recipes import read_recipe

QUERIES, DEPTH = 21, 20
METHODS = {
    "yes-no": "",
    "prp-sliding": "memo = false\noptions = { k = 5 }",
    "prp-sliding-labels": "memo = false\noptions = { k = 5 }",
    "setwise-heapsort": "options = { children = 3 }",
    "setwise-heapsort-labels": "options = { children = 3 }",
    "listwise": "options = { window = 10, stride = 5 }\nsampling.max_tokens = 32",
    "first": "options = { window = 10, stride = 5 }",
    "full-ranking": "sampling.max_tokens = 32",
}
SLIDING = 2 * sum(DEPTH - 1 - i for i in range(5))
WINDOWS = 1 + math.ceil((DEPTH - 10) / 5)
CALLS = {
    "yes-no": DEPTH,
    "prp-sliding": SLIDING,
    "prp-sliding-labels": SLIDING,
    "listwise": WINDOWS,
    "first": WINDOWS,
    "full-ranking": 1,
}
HEAP = (10, 7 + 9 * 3)  # questions of a 3-ary heap over 20: no sift, every sift to the bottom

pytestmark = [pytest.mark.slow, pytest.mark.vllm]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def server(tiny):
    with openai_server(tiny, "--max-model-len", "8192") as url:
        yield url


def recipe(tmp_path, method, engine):
    data = collection("noveleval")
    path = tmp_path / method / "recipe.toml"
    path.parent.mkdir()
    path.write_text(
        f'dataset = "{data}"\nfirst = "{data}/run.initial.trec"\nmethod = "{method}"\n'
        f'measures = ["ndcg@10"]\n{METHODS[method]}\n{engine}\n'
    )
    return path


def check(result, folder, method):
    """Every ranking is a permutation of its candidates, and the calls are the formula's."""
    cost = result["cost"]
    ranked = defaultdict(list)
    for line in gzip.decompress((folder / "run.trec.gz").read_bytes()).decode().splitlines():
        query, _, doc, _, score, _ = line.split()
        ranked[query].append((doc, float(score)))
    given = defaultdict(set)
    for line in (collection("noveleval") / "run.initial.trec").read_text().splitlines():
        query, _, doc, *_ = line.split()
        given[query].add(doc)
    assert {q: {doc for doc, _ in docs} for q, docs in ranked.items()} == given
    assert all([s for _, s in docs] == list(range(DEPTH, 0, -1)) for docs in ranked.values())
    if method in CALLS:
        assert cost["calls"] == cost["questions"] == QUERIES * CALLS[method]
    else:
        low, high = HEAP
        assert QUERIES * low <= cost["questions"] <= QUERIES * high
    assert sum(cost["answers"].values()) == cost["calls"]
    assert cost["answers"]["failed"] == 0
    if method not in ("prp-sliding", "setwise-heapsort", "listwise", "full-ranking"):
        assert cost["answers"]["ok"] == cost["calls"]
    assert cost["prompt_tokens"] > 100 * cost["calls"] > 0


@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_method_runs_on_vllm_in_this_process(tmp_path, tiny, method):
    options = 'engine_options = { dtype = "float32", max_model_len = 8192 }'
    path = recipe(tmp_path, method, f'engine = "vllm"\nmodel = "{tiny}"\n{options}')
    result = pipeline.run(read_recipe(path), path.parent)
    check(result, path.parent, method)


@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_method_runs_against_a_vllm_server(tmp_path, tiny, server, method):
    path = recipe(tmp_path, method, f'engine = "http"\nmodel = "tiny"\nbase_url = "{server}"')
    result = pipeline.run(read_recipe(path), path.parent)
    check(result, path.parent, method)


def test_first_ranks_alike_in_process_and_over_http(tmp_path, tiny, server):
    engines = {
        "here": f'engine = "vllm"\nmodel = "{tiny}"\nengine_options = {{ dtype = "float32" }}',
        "there": f'engine = "http"\nmodel = "tiny"\nbase_url = "{server}"',
    }
    runs = []
    for name, engine in engines.items():
        (tmp_path / name).mkdir()
        path = recipe(tmp_path / name, "first", engine)
        pipeline.run(read_recipe(path), path.parent)
        runs.append(gzip.decompress((path.parent / "run.trec.gz").read_bytes()))
    assert runs[0] == runs[1]
