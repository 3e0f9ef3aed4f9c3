"""Every method that a language model can answer, on NovelEval through one real vLLM."""

import gzip
from collections import defaultdict

import pytest
from shared import collection
from tiny import checkpoint

from rerank import pipeline
from rerank.engines.vllm import VLLM
from rerank.methods import METHODS
from rerank.prompts import read_prompt
from rerank.recipes import read_recipe
from rerank.wants import Labels, Likelihood, Text

SERVED = (Text, Labels, Likelihood)
ROWS = [
    n for n, row in METHODS.items() if row.prompt and read_prompt(row.prompt).reader.wants in SERVED
]
DEPENDS = ("heapsort", "rank-r1", "tdpart", "acurank", "active", "progressive", "setwise")
QUERIES, DEPTH = 2, 12

pytestmark = [pytest.mark.slow, pytest.mark.vllm]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    model = checkpoint(tmp_path_factory.mktemp("tiny") / "model")
    opened = VLLM(str(model), dtype="float32", max_model_len=8192)
    closing, opened.close = opened.close, lambda: None
    yield opened
    closing()


def test_there_are_at_least_25_methods_and_most_run_here():
    assert len(METHODS) >= 25
    assert len(ROWS) >= len(METHODS) - 5


@pytest.mark.parametrize("method", ROWS)
def test_it_ends_with_a_permutation_and_the_predicted_calls(tmp_path, monkeypatch, engine, method):
    data = collection("noveleval")
    monkeypatch.setattr(pipeline, "open_engine", lambda *_: engine)
    path = tmp_path / method / "recipe.toml"
    path.parent.mkdir()
    path.write_text(
        f'dataset = "{data}"\nfirst = "{data}/run.initial.trec"\nmethod = "{method}"\n'
        f'measures = ["ndcg@10"]\nlimit = {QUERIES}\ndepth = {DEPTH}\n'
        'model = "tiny"\nengine = "vllm"\n'
        "sampling.max_tokens = 12\n"
    )
    recipe = read_recipe(path)
    [expected] = pipeline.plan(recipe).values()
    cost = pipeline.run(recipe, path.parent)["cost"]
    if any(part in method for part in DEPENDS):
        assert 0 < cost["calls"] <= 3 * expected.calls
    else:
        assert cost["calls"] <= expected.calls
        assert cost["questions"] >= expected.calls
    assert (cost["answers"]["failed"], cost["queries"]) == (0, QUERIES)
    assert sum(cost["answers"].values()) == cost["calls"]
    ranked = defaultdict(list)
    for line in gzip.decompress((path.parent / "run.trec.gz").read_bytes()).decode().splitlines():
        query, _, doc, *_ = line.split()
        ranked[query].append(doc)
    for query, docs in ranked.items():
        assert len(docs) == len(set(docs)) == DEPTH, query
    assert len(ranked) == QUERIES
