"""Inside LangChain, LlamaIndex and PyTerrier, and all frameworks beside the library itself."""

import subprocess
import sys
from copy import deepcopy

import pytest
from fakes import ScriptedEngine
from frameworks import TEXTS, both, counted

from rerank import MissingExtra, Reranker
from rerank.datasets import load

pytestmark = pytest.mark.slow


@pytest.fixture
def reranker(monkeypatch):
    monkeypatch.setattr("rerank.library.reranker.open_engine", lambda *_: ScriptedEngine(counted))
    with Reranker("any", method="scorer") as opened:
        yield opened


@pytest.fixture
def listwise(monkeypatch):
    monkeypatch.setattr("rerank.library.reranker.open_engine", lambda *_: ScriptedEngine(counted))
    with Reranker("any", method="full-ranking") as opened:
        yield opened


@pytest.mark.parametrize("name", ["langchain", "llama_index", "haystack", "pyterrier"])
def test_a_framework_that_is_not_installed_is_one_line_with_its_mend(name):
    package = {"langchain": "langchain_core"}.get(name, name)
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"try: import rerank.integrations.{name}\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    extra = name.replace("_", "-")
    assert told.stdout.startswith(f"{MissingExtra.__name__} {package}")
    assert f"[{extra}]'" in told.stdout and told.stdout.count("\n") == 1


# LangChain


def langchain_documents():
    from langchain_core.documents import Document

    return [Document(text, id=str(i), metadata={"n": i}) for i, text in enumerate(TEXTS)]


def test_langchain_gets_copies_with_ids_metadata_and_scores(reranker):
    from rerank.integrations.langchain import RerankCompressor

    documents = langchain_documents()
    before, compressor = deepcopy(documents), RerankCompressor(reranker=reranker, top_n=2)
    found = both(
        lambda: compressor.compress_documents(documents, "sky"),
        lambda: compressor.acompress_documents(documents, "sky"),
    )
    assert [(d.id, d.page_content, d.metadata) for d in found] == [
        ("3", "sky sky sky", {"n": 3, "relevance_score": 3.0}),
        ("1", "the sky is blue", {"n": 1, "relevance_score": 1.0}),
    ]
    assert documents == before
    assert compressor.compress_documents([], "sky") == []


def test_langchain_gets_no_score_from_a_list(listwise):
    from rerank.integrations.langchain import RerankCompressor

    compressor = RerankCompressor(reranker=listwise, top_n=None)
    found = compressor.compress_documents(langchain_documents(), "sky")
    assert [d.metadata for d in found] == [{"n": 3}, {"n": 2}, {"n": 1}, {"n": 0}]


def test_langchain_runs_it_in_a_chain(reranker):
    from langchain_core.runnables import RunnableLambda

    from rerank.integrations.langchain import RerankCompressor

    compressor = RerankCompressor(reranker=reranker, top_n=1)
    chain = RunnableLambda(lambda query: langchain_documents()) | RunnableLambda(
        lambda documents: compressor.compress_documents(documents, "sky")
    )
    assert chain.invoke("sky")[0].id == "3"


# LlamaIndex


def nodes():
    from llama_index.core.schema import NodeWithScore, TextNode

    return [
        NodeWithScore(node=TextNode(text=text, id_=str(i), metadata={"n": i}), score=0.1)
        for i, text in enumerate(TEXTS)
    ]


def test_llama_index_gets_its_nodes_with_the_models_scores(reranker):
    from rerank.integrations.llama_index import RerankPostprocessor

    given = nodes()
    before, ranker = deepcopy(given), RerankPostprocessor(reranker, top_n=2)
    found = both(
        lambda: ranker.postprocess_nodes(given, query_str="sky"),
        lambda: ranker.apostprocess_nodes(given, query_str="sky"),
    )
    assert [(n.node.node_id, n.score, n.node.metadata) for n in found] == [
        ("3", 3.0, {"n": 3}),
        ("1", 1.0, {"n": 1}),
    ]
    assert given == before
    assert ranker.postprocess_nodes([], query_str="sky") == []
    with pytest.raises(ValueError, match="needs the query"):
        ranker.postprocess_nodes(given)


def test_llama_index_keeps_the_old_score_in_a_copy_if_asked(reranker):
    from rerank.integrations.llama_index import RerankPostprocessor

    given = nodes()
    before = deepcopy(given)
    ranker = RerankPostprocessor(reranker, top_n=1, keep_retrieval_score=True)
    [found] = ranker.postprocess_nodes(given, query_str="sky")
    assert found.node.metadata == {"n": 3, "retrieval_score": 0.1} and found.node.node_id == "3"
    assert given == before


def test_llama_index_hears_of_the_start_and_the_end(reranker):
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.event_handlers import BaseEventHandler

    from rerank.integrations.llama_index import RerankPostprocessor

    heard = []

    class Listening(BaseEventHandler):
        def handle(self, event, **_):
            heard.append(event)

    root = get_dispatcher()
    root.add_event_handler(Listening())
    RerankPostprocessor(reranker, top_n=2).postprocess_nodes(nodes(), query_str="sky")
    root.event_handlers.pop()
    start, end = (e for e in heard if "ReRank" in e.class_name())
    assert (start.top_n, start.model_name, len(start.nodes), len(end.nodes)) == (2, "any", 4, 2)


# PyTerrier


def frame():
    import pandas

    rows = [
        (qid, query, f"d{i}", text, 9.0 - i, i)
        for qid, query in (("q2", "sky"), ("q1", "sea"))
        for i, text in enumerate(TEXTS)
    ]
    columns = ["qid", "query", "docno", "text", "score", "rank"]
    return pandas.DataFrame(rows, columns=columns, index=[7] * len(rows))


def test_pyterrier_gets_a_frame_with_every_column_and_ranks_from_0(reranker):
    from rerank.integrations.pyterrier import RerankTransformer

    given = frame().assign(extra="x")
    before = given.copy(deep=True)
    found = RerankTransformer(reranker, top_n=2).transform(given)
    assert found[["qid", "docno", "score", "rank"]].values.tolist() == [
        ["q2", "d3", 3.0, 0],
        ["q2", "d1", 1.0, 1],
        ["q1", "d3", 3.0, 0],
        ["q1", "d1", 1.0, 1],
    ]
    assert set(found.columns) == set(given.columns) and given.equals(before)
    assert RerankTransformer(reranker).transform(given.iloc[:0]).empty


def test_pyterrier_gets_falling_numbers_from_a_list_and_composes(listwise):
    import pyterrier as pt

    from rerank.integrations.pyterrier import RerankTransformer

    pipeline = pt.Transformer.from_df(frame()) >> RerankTransformer(listwise)
    found = pipeline.transform(frame()[["qid", "query"]].drop_duplicates())
    one = found[found.qid == "q2"]
    assert one.docno.tolist() == ["d3", "d2", "d1", "d0"]
    assert one.score.tolist() == [4.0, 3.0, 2.0, 1.0]


# All of them over a real model and the collection that ships.


@pytest.mark.slow
def test_every_framework_ranks_the_demo_collection_as_the_library_does():
    import pandas
    from haystack import Document as HaystackDocument
    from langchain_core.documents import Document
    from llama_index.core.schema import NodeWithScore, TextNode

    from rerank.integrations.haystack import RerankRanker
    from rerank.integrations.langchain import RerankCompressor
    from rerank.integrations.llama_index import RerankPostprocessor
    from rerank.integrations.pyterrier import RerankTransformer

    collection = load("demo")
    query = collection.queries["q01"]
    texts = {doc.id: doc.text for doc in [*collection.corpus.values()][:40]}
    with Reranker("all-MiniLM-L6-v2") as reranker:
        given = [{"id": name, "text": text} for name, text in texts.items()]
        expected = reranker.rerank(query.text, given, top_n=5).ids
        langchain = RerankCompressor(reranker=reranker, top_n=5).compress_documents(
            [Document(text, id=name) for name, text in texts.items()], query.text
        )
        llama = RerankPostprocessor(reranker, top_n=5).postprocess_nodes(
            [NodeWithScore(node=TextNode(text=text, id_=name)) for name, text in texts.items()],
            query_str=query.text,
        )
        rows = [
            {"qid": "q", "query": query.text, "docno": name, "text": text, "score": 0.0, "rank": 0}
            for name, text in texts.items()
        ]
        terrier = RerankTransformer(reranker, top_n=5).transform(pandas.DataFrame(rows))
        ranker = RerankRanker("all-MiniLM-L6-v2", top_k=5)
        haystack = ranker.run(
            query.text, [HaystackDocument(content=text, id=name) for name, text in texts.items()]
        )["documents"]
        ranker.close()
    assert [document.id for document in langchain] == expected
    assert [node.node.node_id for node in llama] == expected
    assert [document.id for document in haystack] == expected
    assert terrier.docno.tolist() == expected
