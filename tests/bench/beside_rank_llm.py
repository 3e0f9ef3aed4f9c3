"""Our side of the comparison with rank-llm, in a process of its own as theirs is.

The same file of requests, every passage seen for the first time, and where the time went.
"""

import json
import sys
from pathlib import Path
from time import perf_counter, process_time

from rerank import garbage, passages
from rerank.cost import strategy_of
from rerank.engines.vllm import VLLM
from rerank.judges import LLMJudge
from rerank.methods import METHODS
from rerank.records import Doc, Query
from rerank.scheduler import drive
from rerank.stopwatch import spent


def read(requests):
    """Each query with its candidates."""
    for line in Path(requests).read_text(encoding="utf-8").splitlines():
        asked = json.loads(line)
        found = [(it["docid"], it["doc"]) for it in asked["candidates"]]
        docs = [Doc(name, doc["text"], doc["title"]) for name, doc in found]
        yield Query(asked["query"]["qid"], asked["query"]["text"]), docs


def forget(assembly):
    """As if no passage had been seen."""
    assembly._inside._newer.clear()
    assembly._inside._older.clear()
    assembly._lengths.cache_clear()
    assembly._ends.cache_clear()
    passages.passage.cache_clear()


def main(model, requests, method, settings, new_tokens):
    engine, lists = VLLM(model, **settings), list(read(requests))
    strategy, prompt = strategy_of(METHODS[method])
    judge = LLMJudge(prompt.with_sampling(max_tokens=new_tokens), engine)
    judge.check(20)
    options = METHODS[method].options
    [(query, docs), *_] = lists
    list(drive([(query, strategy(docs[:40], **options))], judge))  # as the peer does: a cold engine
    forget(engine._tokens._assembly)
    assert engine._engine.reset_prefix_cache()
    asking = (
        judge.expect(query, docs) or (query, strategy(docs, **options)) for query, docs in lists
    )
    before, begun, used = spent(), perf_counter(), process_time()
    with garbage.left_alone():  # as in `rerank run`
        jobs = list(drive(asking, judge))
    took = {"seconds": perf_counter() - begun, "cpu": process_time() - used}
    stages = {name: now - before[name] for name, now in spent().items()}
    tokens = sum(job.usage.prompt_tokens for job in jobs)
    print(json.dumps(took | stages | {"windows": sum(job.calls for job in jobs), "tokens": tokens}))
    engine.close()


if __name__ == "__main__":
    model, requests, method, settings, new_tokens = sys.argv[1:]
    main(model, requests, method, json.loads(settings), json.loads(new_tokens))
