"""Inside Haystack, with its real package."""

import asyncio
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
from fakes import ScriptedEngine
from frameworks import TEXTS, both, counted

from rerank.wants import Reply

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def namespace(tmp_path, monkeypatch):
    """The namespace package as the wheel lays it out."""
    folder = tmp_path / "haystack_integrations" / "components" / "rankers"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "rerank/integrations/haystack_namespace.py", folder / "rerank.py")
    monkeypatch.syspath_prepend(tmp_path)


def haystack_documents():
    from haystack import Document

    return [Document(content=text, id=str(i), meta={"n": i}) for i, text in enumerate(TEXTS)]


@pytest.fixture
def ranker(monkeypatch):
    from rerank.integrations.haystack import RerankRanker

    monkeypatch.setattr("rerank.library.reranker.open_engine", lambda *_: ScriptedEngine(counted))
    ranker = RerankRanker("any", method="scorer", top_k=2)
    yield ranker
    ranker.close()


def test_haystack_gets_copies_with_ids_meta_and_scores(ranker):
    documents = haystack_documents()
    before = deepcopy(documents)
    found = both(lambda: ranker.run("sky", documents), lambda: ranker.run_async("sky", documents))[
        "documents"
    ]
    assert [(d.id, d.score, d.meta) for d in found] == [("3", 3.0, {"n": 3}), ("1", 1.0, {"n": 1})]
    assert documents == before
    assert len(ranker.run("sky", documents, top_k=3)["documents"]) == 3
    assert ranker.run("sky", [])["documents"] == []
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="top_k is"):
            ranker.run("sky", documents, top_k=wrong)


def test_haystack_writes_a_pipeline_as_yaml_and_reads_it_again(namespace, monkeypatch):
    from haystack import Pipeline
    from haystack_integrations.components.rankers.rerank import RerankRanker

    monkeypatch.setattr("rerank.library.reranker.open_engine", lambda *_: ScriptedEngine(counted))
    pipeline = Pipeline()
    settings = {"options": {}, "budget": {"calls": 9}}
    pipeline.add_component("r", RerankRanker("any", method="scorer", top_k=1, settings=settings))
    written = pipeline.dumps()
    assert "haystack_integrations.components.rankers.rerank.RerankRanker" in written
    read = Pipeline.loads(written)
    given = {"r": {"query": "sky", "documents": haystack_documents()}}
    assert read.run(given)["r"]["documents"][0].id == "3"
    assert asyncio.run(read.run_async(given))["r"]["documents"][0].id == "3"
    assert read.dumps() == written


def test_haystack_keeps_a_failed_query_as_it_was_if_told_to(monkeypatch):
    from rerank.integrations.haystack import RerankRanker

    failing = ScriptedEngine(lambda _: Reply(error="HTTP 500"))
    monkeypatch.setattr("rerank.library.reranker.open_engine", lambda *_: failing)
    documents = haystack_documents()
    kept = RerankRanker("any", method="scorer", on_error="keep", top_k=None)
    assert kept.run("sky", documents)["documents"] == documents
    with pytest.raises(Exception, match="HTTP 500"):
        RerankRanker("any", method="scorer").run("sky", documents)
