"""Recipes given as text are run here, and what they leave is read."""

import gzip
from pathlib import Path

from rerank import pipeline
from rerank.recipes import read_recipe

TIMES = {"seconds", "stages", "queries_per_second", "tokens_per_second"}
ORACLE = 'dataset = "small"\njudge = "oracle"\nmethod = "setwise-heapsort"\n'


def run(text, folder="run", progress=lambda *_: None):
    """Run a recipe given as text; gives what it says of itself."""
    path = Path(f"{folder}.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return pipeline.run(read_recipe(path), Path(folder), None, progress)


def ranked(folder, name="run.trec.gz"):
    """A run file's documents by query, best first; its form is checked on the way."""
    found = {}
    for line in gzip.decompress(Path(folder, name).read_bytes()).decode().splitlines():
        query, q0, doc, rank, score, _ = line.split(" ")
        found.setdefault(query, []).append(doc)
        assert (q0, int(rank)) == ("Q0", len(found[query]))
        assert int(score) >= 1
    return found


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(part) for key, part in value.items() if key not in TIMES}
    return value
