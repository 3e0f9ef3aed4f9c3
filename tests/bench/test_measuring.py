"""How long scoring takes, beside pytrec_eval on the same machine in the same minutes.

Processor time, since other work on a machine does not change it much; `-s` prints wall time too.
"""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from shared import collection

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
OURS = """
from pathlib import Path
from rerank.datasets import read_qrels, read_run
from rerank.evaluate import evaluate
names = "ndcg@10 ndcg map mrr recall@100 precision@10 r-precision bpref success@10".split()
mean = evaluate(read_qrels(Path("qrels")), read_run(Path("run")), names).mean
print(mean["ndcg@10"])
"""
THEIRS = """
import pytrec_eval
names = "ndcg_cut.10 ndcg map recip_rank recall.100 P.10 Rprec bpref success.10".split()
with open("qrels") as qrels, open("run") as run:
    qrels, run = pytrec_eval.parse_qrel(qrels), pytrec_eval.parse_run(run)
found = pytrec_eval.RelevanceEvaluator(qrels, set(names)).evaluate(run)
print(sum(values["ndcg_cut_10"] for values in found.values()) / len(found))
"""
CLOCK = """
import resource, time
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(time.process_time(), time.perf_counter() - start, memory)
"""


def timed(code: str, folder: Path) -> tuple[list[str], float]:
    """What code prints in a fresh process, and its processor seconds, imports included."""
    whole = f"import time\nstart = time.perf_counter()\n{code}\n{CLOCK}"
    done = subprocess.run(
        [sys.executable, "-c", whole], cwd=folder, capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    *printed, clock = done.stdout.splitlines()
    cpu, wall, memory = map(float, clock.split())
    print(f"{cpu:.1f} s of processor, {wall:.1f} s of wall, {memory / 1e6:.2f} GB")
    return printed, cpu


@pytest.fixture
def large(tmp_path):
    """10 000 queries with 1 000 documents each, 20 judged."""
    dice = random.Random(1)
    with (tmp_path / "run").open("w") as run, (tmp_path / "qrels").open("w") as qrels:
        for query in range(10_000):
            docs = [f"D{number:07d}" for number in dice.sample(range(5_000_000), 1000)]
            score = dice.random() + 20
            for rank, doc in enumerate(docs, 1):
                run.write(f"q{query} Q0 {doc} {rank} {score - rank / 64:.6f} bench\n")
            for doc in [*dice.sample(docs, 18), "unseen", "unfound"]:
                qrels.write(f"q{query} 0 {doc} {dice.choice([0, 0, 0, 1, 1, 2, 3])}\n")
    return tmp_path


def test_ten_million_lines_are_scored_no_slower_than_by_pytrec_eval(large):
    [ours], our_time = timed(OURS, large)
    [theirs], their_time = timed(THEIRS, large)
    assert float(ours) == pytest.approx(float(theirs), abs=1e-12)
    assert our_time <= their_time


def test_eval_of_one_run_takes_less_than_two_seconds(tmp_path):
    folder = collection("dl19")
    run, qrels = folder / "runs" / "bm25.trec.gz", folder / "qrels" / "test.tsv"
    code = f"""
import sys
from rerank.cli import main
sys.argv = ["rerank", "eval", {str(run)!r}, "--qrels", {str(qrels)!r}]
try:
    main()
except SystemExit:
    pass
"""
    printed, seconds = timed(code, tmp_path)
    assert "0.5058" in printed[-1] and seconds < 2
