"""A checkpoint that PyLate saved is scored as PyLate scores it."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from bench import peers
from bench.report import record

from rerank.engines.scorer import Scorer
from rerank.wants import Pair, Request

pytestmark = pytest.mark.slow
TEXTS = {
    "queries": ["what do foxes eat?", "A short, odd one", "x " * 60],
    "docs": ["The red fox, of course, eats mice; voles!", "snow", "word, " * 80],
}


def test_a_checkpoint_of_pylates_scores_as_pylate_does(tmp_path):
    script = Path(__file__).with_name("peer_pylate.py")
    root = script.parents[2]
    done = subprocess.run(
        [peers.pylate(), script, tmp_path],
        input=json.dumps(TEXTS),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    theirs = np.array(json.loads(done.stdout.splitlines()[-1]))
    scorer, ours = Scorer(str(tmp_path), device="cpu"), np.zeros_like(theirs)
    for row, query in enumerate(TEXTS["queries"]):
        for column, doc in enumerate(TEXTS["docs"]):
            scorer.submit((row, column), Request((), Pair(query, doc)))
    while replies := list(scorer.poll()):
        for place, reply in replies:
            ours[place] = reply.scores[0]
    far = float(np.abs(ours - theirs).max())
    assert far < 1e-4
    rows = [{"pairs": theirs.size, "highest score": theirs.max(), "furthest apart": far}]
    record("First stage: PyLate's scores and ours", rows)
