"""The same windows through rank-llm and through us: one tiny model, so the host is compared."""

import json
import subprocess
from pathlib import Path
from time import perf_counter, process_time

import pytest
import tiny
from bench.lists import candidates
from bench.peers import rank_llm
from bench.report import record

from rerank import passages
from rerank.cost import strategy_of
from rerank.engines.vllm import VLLM
from rerank.judges import LLMJudge
from rerank.methods import METHODS
from rerank.scheduler import drive
from rerank.stopwatch import spent

CONTEXT = 8192
SETTINGS = {
    "dtype": "float32",
    "max_model_len": CONTEXT,
    "max_logprobs": 30,
    "enforce_eager": True,
    "kv_cache_memory_bytes": 2 << 30,
    "block_size": 32,
    "enable_prefix_caching": True,
}
SMALLEST = {"hidden": 32, "layers": 1, "heads": 1}  # so that it is the host that is compared
QUERIES = {"dl19": 10, "scifact": 3}
ROWS = []
NOTE = (
    "rank-llm 0.25.7 from its package and ours, on one tiny random checkpoint and the same"
    " vLLM with the same settings, in process: the same queries, 100 candidates each, windows"
    f" of 20 by 10, a context of {CONTEXT} tokens, as many new tokens as the peer asks for."
    " Host: seconds outside vLLM's generate, and outside our add_request and step, for each"
    " window. Prompts: the share of the time that goes into building them. The goals: end to"
    " end 2 times faster on dl19 and 5 times on scifact, the host's share of a window 20 times"
    " lower. The peer's T5 module does not import beside transformers 5 (no"
    " find_pruneable_heads_and_indices), so it is left out."
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    yield str(tiny.checkpoint(tmp_path_factory.mktemp("m"), context=CONTEXT, **SMALLEST))
    for name in dict.fromkeys(row["collection"] for row in ROWS):
        rows = [row for row in ROWS if row["collection"] == name]
        record(f"Against rank-llm: {name}", rows, NOTE)


@pytest.fixture(scope="module")
def engine(model):
    opened = VLLM(model, **SETTINGS)
    yield opened
    opened.close()


def theirs(model, method, lists, folder):
    """What the peer's process says of the time it took, or the last line of its error."""
    requests = folder / "requests.jsonl"
    requests.write_text("".join(f"{json.dumps(_request(*item))}\n" for item in lists.items()))
    script = Path(__file__).with_name("peer_rank_llm.py")
    command = [rank_llm(), script, model, requests, method, json.dumps(SETTINGS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def _request(query, docs):
    found = [
        {"docid": doc.id, "score": float(-place), "doc": {"title": doc.title, "text": doc.text}}
        for place, doc in enumerate(docs)
    ]
    return {"query": {"text": query.text, "qid": query.id}, "candidates": found}


def forget(assembly):
    """As if no passage had been seen."""
    for kept in (assembly._inside, assembly._lengths):
        kept._newer.clear()
        kept._older.clear()
    passages.passage.cache_clear()
    passages.clean.cache_clear()


def ours(engine, method, lists, new_tokens):
    """The same in this process, every passage seen for the first time."""
    strategy, prompt = strategy_of(METHODS[method])
    judge = LLMJudge(prompt.with_sampling(max_tokens=new_tokens), engine)
    judge.check(20)
    options = METHODS[method].options
    [(query, docs), *_] = lists.items()
    list(drive([(query, strategy(docs[:40], **options))], judge))  # as the peer does: a cold engine
    forget(engine._tokens._assembly)
    assert engine._engine.reset_prefix_cache()
    asking = ((query, strategy(docs, **options)) for query, docs in lists.items())
    before, begun, used = spent(), perf_counter(), process_time()
    jobs = list(drive(asking, judge))
    took = {"seconds": perf_counter() - begun, "cpu": process_time() - used}
    stages = {name: now - before[name] for name, now in spent().items()}
    return took | stages | {"windows": sum(job.calls for job in jobs)}


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("method", ["listwise", "first"])
def test_the_same_windows_cost_the_host_less(model, engine, name, method, tmp_path):
    lists = candidates(name, QUERIES[name])
    lists = {query: docs for query, docs in lists.items() if len(docs) == 100}
    peer = theirs(model, method, lists, tmp_path)
    row = {"collection": name, "method": method, "queries": len(lists)}
    if "error" in peer:
        ROWS.append(row | {"theirs, s": peer["error"]})
        return
    our = ours(engine, method, lists, peer["new tokens"] if method == "listwise" else None)
    host, their_host = (
        1000 * (side["seconds"] - inside) / side["windows"]
        for side, inside in ((our, our["submit"] + our["wait"]), (peer, peer["generate"]))
    )
    row |= {"windows": our["windows"], "their windows": peer["windows"]}
    row |= {"ours, s": our["seconds"], "theirs, s": peer["seconds"]}
    row |= {"faster": peer["seconds"] / our["seconds"], "host, ms/window": host}
    row |= {"theirs, ms/window": their_host, "host lower": their_host / host}
    row |= {"prompts": f"{(our['prompt'] + our['tokenise']) / our['seconds']:.0%}"}
    row |= {"their prompts": f"{peer['prompts'] / peer['seconds']:.0%}"}
    ROWS.append(row)
    print(row)
