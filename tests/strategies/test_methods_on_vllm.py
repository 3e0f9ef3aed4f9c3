"""Every row of the table on NovelEval: what language models answer through one real vLLM.

A tiny model of random weights answers: what it writes is nonsense, so that answers of every
status come by. A row that wants what vLLM does not give runs on the engine that gives it.
"""

import gzip
from collections import defaultdict

import pytest
from costs import NARROW, bounds
from shared import collection
from tiny import checkpoint

from rerank import pipeline
from rerank.engines.opening import open_engine
from rerank.methods import METHODS
from rerank.prompts import read_prompt
from rerank.recipes import read_recipe
from rerank.strategies import STRATEGIES, options_of
from rerank.wants import Labels, Likelihood, Logits, Pair, Text

QUERIES, DEPTH, CONTEXT = 2, 8, 2048

ENGINES = {Text: "vllm", Labels: "vllm", Likelihood: "vllm", Logits: "transformers", Pair: "scorer"}
ELSEWHERE = {
    "first-stage": "none",  # asks nothing
    "scorer": "scorer",  # a cross-encoder's score of a pair: no text, no label
    "rankllama": "scorer",
    "bge-reranker-gemma": "transformers",  # a bare logit, which vLLM gives no more
}

pytestmark = [pytest.mark.slow, pytest.mark.vllm]


def engine_of(method):
    prompt = METHODS[method].prompt
    return ENGINES[read_prompt(prompt).reader.wants] if prompt else "none"


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """One engine of each kind for all rows, opened when the first row needs it."""
    tiny = str(checkpoint(tmp_path_factory.mktemp("tiny") / "model", context=CONTEXT))
    models = {"vllm": tiny, "transformers": tiny, "scorer": "all-MiniLM-L6-v2"}
    options = {"vllm": {"dtype": "float32", "max_model_len": CONTEXT}}
    opened = {}

    def engine(name):
        if name not in opened:
            made = open_engine(name, models[name], options.get(name, {}))
            opened[name] = made, made.close
            made.close = lambda: None
        return opened[name][0]

    yield engine
    for _, close in opened.values():
        close()


@pytest.fixture(scope="module")
def given():
    """The first candidates of the first queries of NovelEval."""
    docs = defaultdict(list)
    for line in (collection("noveleval") / "run.initial.trec").read_text().splitlines():
        query, _, doc, *_ = line.split()
        docs[query].append(doc)
    return {query: found[:DEPTH] for query, found in docs.items()}


def recipe(folder, method):
    data, row = collection("noveleval"), METHODS[method]
    options = {**row.options, **NARROW.get(row.strategy, {})}
    written = ", ".join(f"{key} = {_toml(value)}" for key, value in options.items())
    near = (
        "neighbours = { k = 4 }\n" if "neighbours" in options_of(STRATEGIES[row.strategy]) else ""
    )
    path = folder / "recipe.toml"
    path.write_text(
        f'dataset = "{data}"\nfirst = "{data}/run.initial.trec"\nmethod = "{method}"\n'
        f'measures = ["ndcg@10"]\nlimit = {QUERIES}\ndepth = {DEPTH}\nmodel = "tiny"\n'
        f'engine = "{engine_of(method).replace("none", "auto")}"\n'
        f"sampling.max_tokens = 12\noptions = {{ {written} }}\n{near}"
    )
    return read_recipe(path)


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def ranked(folder):
    found = defaultdict(list)
    for line in gzip.decompress((folder / "run.trec.gz").read_bytes()).decode().splitlines():
        query, _, doc, *_ = line.split()
        found[query].append(doc)
    return found


def test_only_what_vllm_does_not_give_runs_elsewhere():
    assert len(METHODS) >= 25
    there = {method: engine_of(method) for method in METHODS if engine_of(method) != "vllm"}
    assert there == ELSEWHERE


@pytest.mark.parametrize("method", [name for name in METHODS if name != "boxed-decoder"])
def test_it_ends_with_a_permutation_and_the_predicted_calls(
    tmp_path, monkeypatch, engines, given, method
):
    monkeypatch.setattr("rerank.pipeline.running.open_engine", lambda name, *_: engines(name))
    asked = recipe(tmp_path, method)
    least, most = (QUERIES * calls for calls in bounds(asked.row, DEPTH))
    [expected] = pipeline.plan(asked.model_copy(update={"memo": False})).values()
    cost = pipeline.run(asked, tmp_path)["cost"]
    if least == most:
        assert cost["questions"] == expected.calls == least
    else:
        assert least <= cost["questions"] <= most and least <= expected.calls <= most
    assert cost["calls"] + cost["memo"] == cost["questions"] and cost["unasked"] == 0
    assert sum(cost["answers"].values()) == cost["calls"]
    assert (cost["answers"]["failed"], cost["queries"]) == (0, QUERIES)
    assert (cost["prompt_tokens"] > 0) == (method != "first-stage")
    found = ranked(tmp_path)
    assert len(found) == QUERIES and (cost["neighbours"] > 0) == (asked.near > 0)
    assert sum(map(len, found.values())) == QUERIES * DEPTH + cost["neighbours"]
    for query, docs in found.items():
        assert len({*docs}) == len(docs) and {*docs} >= {*given[query]}
