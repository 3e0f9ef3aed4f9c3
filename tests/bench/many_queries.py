"""Rerank 10 000 queries of 100 candidates each with the oracle; print what memory that took."""

import json
import resource
import sys
from pathlib import Path
from time import process_time

from rerank.judges import Oracle
from rerank.pipeline import rerank_task
from rerank.recipes import Recipe
from rerank.records import Doc, Query
from rerank.tasks import Task

TEXT = "what a passage of MS MARCO says in its three hundred and fifty characters " * 5


def lists(queries, depth=100):
    for query in range(queries):
        docs = [Doc(f"{query}-{place}", f"{query} {place} {TEXT}"[:350]) for place in range(depth)]
        yield Query(f"q{query}", f"query {query}"), docs


def mebibytes(field):
    """Of this process: VmRSS is what it holds now."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[field].split()[0]) / 1024


def main(method, queries=10_000):
    candidates = dict(lists(queries))
    qrels = {query.id: {docs[-1].id: 1, docs[3].id: 2} for query, docs in candidates.items()}
    loaded, begun = mebibytes("VmRSS"), process_time()
    recipe = Recipe(method=method, judge="oracle", first="candidates.jsonl")
    done = rerank_task(recipe, Task("many", candidates, qrels), Oracle(qrels))
    seconds = process_time() - begun
    assert len(done.run) == queries
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"questions": done.account.questions, "loaded": round(loaded), "peak": round(peak)}
    print(json.dumps(found | {"at the end": round(mebibytes("VmRSS")), "CPU, s": seconds}))


if __name__ == "__main__":
    main(sys.argv[1])
