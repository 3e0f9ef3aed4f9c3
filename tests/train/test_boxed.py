"""The reranker in the package: small enough, there without a network, and what training made."""

import os
import subprocess
import sys
from inspect import signature
from math import exp
from pathlib import Path

import pytest

from rerank import Reranker
from rerank.datasets import load
from rerank.engines.folders import PACKAGED
from rerank.engines.models.checkpoints import Files
from rerank.engines.models.matching import Matcher
from rerank.train.wiring import matching_head

package, folder = PACKAGED["boxed"]
FOLDER = Path(__file__).resolve().parents[2] / package / folder

ASKED = "why is the sky blue?"
DOCS = ["Dust scatters red light.", "Air scatters blue light the most.", "The sea is salty."]


def test_the_boxed_model_fits_in_24_megabytes_and_says_whose_it_is() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 24_000_000
    said = (FOLDER / "SOURCE.md").read_text("utf-8")
    assert "Apache-2.0" in said and "all-MiniLM-L6-v2" in said


@pytest.mark.slow
def test_the_boxed_model_loads_by_name_without_a_network_and_ranks() -> None:
    program = (
        "from rerank import Reranker\n"
        "with Reranker('boxed') as reranker:\n"
        f"    print(reranker.rerank({ASKED!r}, {DOCS!r})[0].document)"
    )
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=offline, check=True
    )
    assert said.stdout.strip() == DOCS[1]


@pytest.mark.slow
def test_a_packed_minilm_scores_as_the_float_one_does(tmp_path) -> None:
    dataset = load("demo")
    docs = [doc.text for doc in list(dataset.corpus.values())[:60]]
    queries = [query.text for query in list(dataset.queries.values())[:8]]
    pairs = [(query, doc) for query in queries for doc in docs]
    files = Files("all-MiniLM-L6-v2")
    full = Matcher(files, "cpu", "auto", 256, matching_head(files.tokenizer(), docs))
    full.save_packed(str(tmp_path), 256)
    small = Matcher(Files(str(tmp_path)), "cpu", "auto", None)
    found = []
    for matcher in (full, small):
        with matcher.computing():
            found.append([one.score for one in matcher.score(matcher.read(pairs))])
    off = [abs(a - b) for a, b in zip(*found, strict=True)]
    spread = max(found[0]) - min(found[0])
    assert max(off) < 0.05 * spread
    assert sum(off) / len(off) < 0.01 * spread


@pytest.mark.slow
def test_a_pairs_score_does_not_depend_on_the_order_or_on_the_others() -> None:
    with Reranker("boxed") as reranker:
        one = {hit.document: hit.score for hit in reranker.rerank(ASKED, DOCS)}
        back = {hit.document: hit.score for hit in reranker.rerank(ASKED, DOCS[::-1])}
        alone = [reranker.rerank(ASKED, [doc])[0].score for doc in DOCS]
    assert one == pytest.approx(back, abs=1e-3)
    assert [one[doc] for doc in DOCS] == pytest.approx(alone, abs=1e-3)


def test_every_command_that_reranks_takes_it_where_no_model_is_named() -> None:
    from rerank.cli import rank
    from rerank.commands.calibrate import calibrate
    from rerank.commands.serve import serve

    assert {signature(it).parameters["model"].default for it in (rank, serve, calibrate)} == {
        "boxed"
    }


@pytest.mark.slow
def test_a_score_is_a_log_odds_so_that_a_server_tells_good_from_bad() -> None:
    with Reranker("boxed") as reranker:
        ranking = reranker.rerank(ASKED, DOCS)
    chances = [1 / (1 + exp(-hit.score)) for hit in ranking]
    assert ranking.score_kind == "logit" and 0.1 < chances[0] < 0.9 and chances[-1] < 0.02
