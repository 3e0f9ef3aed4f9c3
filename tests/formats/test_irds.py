import sys
from typing import NamedTuple

import pytest

from rerank.datasets import irds, load
from rerank.errors import InputError, MissingExtra
from rerank.records import Doc, Query


class Titled(NamedTuple):
    doc_id: str
    text: str
    title: str


class Abstract(NamedTuple):
    doc_id: str
    title: str
    abstract: str

    def default_text(self) -> str:
        return f"{self.title} {self.abstract}"


class Topic(NamedTuple):
    query_id: str
    title: str
    narrative: str

    def default_text(self) -> str:
        return self.title


class Asked(NamedTuple):
    query_id: str
    text: str


class Judged(NamedTuple):
    query_id: str
    doc_id: str
    relevance: float
    iteration: str = "0"


DOCS = [Titled("d2", "second", "Two"), Titled("d1", "first", "")]
QUERIES = [Asked("q1", "which is first?")]
QRELS = [Judged("q1", "d1", 1), Judged("q1", "d2", -1)]


def ir_datasets_registry():
    import ir_datasets

    return ir_datasets.registry._registered


def failing():
    raise ConnectionError("Failed to resolve 'host'\n(no network)")
    yield


@pytest.fixture
def register(monkeypatch):
    """Rows as the collection `tiny/test` in the registry of ir_datasets."""
    import ir_datasets
    from ir_datasets.formats import BaseDocs, BaseQrels, BaseQueries

    def add(docs=DOCS, queries=QUERIES, qrels=QRELS) -> str:
        kinds = [("docs", BaseDocs, docs), ("queries", BaseQueries, queries)]
        parts = [
            type(kind, (parent,), {f"{kind}_iter": lambda self, rows=rows: iter(rows)})()
            for kind, parent, rows in [*kinds, ("qrels", BaseQrels, qrels)]
            if rows is not None
        ]
        dataset = ir_datasets.Dataset(*parts)
        monkeypatch.setitem(ir_datasets.registry._registered, "tiny/test", dataset)
        return "irds:tiny/test"

    return add


def refusal(source: str) -> str:
    with pytest.raises(InputError) as caught:
        load(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_id_gives_texts_titles_and_grades(register):
    dataset = load(register())
    assert dataset.name == "tiny/test"
    assert list(dataset.corpus.values()) == [Doc("d2", "second", "Two"), Doc("d1", "first", "")]
    assert dataset.queries == {"q1": Query("q1", "which is first?")}
    assert dataset.qrels == {"q1": {"d1": 1, "d2": -1}}


def test_a_large_corpus_is_asked_for_what_is_wanted_and_not_held(register, tmp_path, monkeypatch):
    """With a real store of ir_datasets, as MS MARCO's is."""
    from ir_datasets.indices import PickleLz4FullStore

    source = register()
    found = ir_datasets_registry()["tiny/test"]
    store = PickleLz4FullStore(tmp_path / "store", lambda: iter(DOCS), Titled, "doc_id", ["doc_id"])
    found.docs_store = lambda: store
    found.metadata = lambda: {"docs": {"count": 2}}
    held = load(source).corpus
    monkeypatch.setattr(irds, "LARGE", 1)
    corpus = load(source).corpus
    assert type(held) is dict and type(corpus) is irds.Store
    assert len(corpus) == 2 and [*corpus.values()] == [*held.values()]
    assert corpus["d1"] == Doc("d1", "first", "") and "d3" not in corpus


def test_rows_without_a_text_give_the_text_that_ir_datasets_makes_of_them(register):
    source = register([Abstract("d1", "Cells", "divide")], [Topic("q1", "cell division", "long")])
    dataset = load(source)
    assert dataset.corpus == {"d1": Doc("d1", "Cells divide", "")}
    assert dataset.queries == {"q1": Query("q1", "cell division")}


def test_rows_that_are_wrong_are_named_with_their_number(register):
    assert refusal(register(docs=DOCS * 2)) == (
        "irds:tiny/test docs:3: document 'd2' is there twice"
    )
    assert refusal(register(queries=[Asked("q1", "")])) == (
        "irds:tiny/test queries:1: 'text' is empty; a query needs words"
    )
    assert refusal(register(qrels=QRELS * 2)) == (
        "irds:tiny/test qrels:3: document 'd1' is judged for query 'q1' "
        "at irds:tiny/test qrels:1 too"
    )
    assert refusal(register(qrels=[Judged("q1", "d1", 0.5)])) == (
        "irds:tiny/test qrels:1: a grade must be a whole number, not 0.5"
    )


def test_an_id_without_judgments_says_so(register):
    assert refusal(register(qrels=None)) == (
        "irds:tiny/test: this id has no qrels; name one that has, with its split"
    )
    assert refusal("irds:beir/scifact") == (
        "irds:beir/scifact: this id has no qrels; name one that has, with its split"
    )


def test_an_id_that_ir_datasets_does_not_know_is_one_line():
    assert refusal("irds:beir/nonesuch") == "irds:beir/nonesuch: ir_datasets has no such id"


def test_a_collection_that_cannot_be_fetched_is_one_line(register):
    assert refusal(register(docs=failing())) == (
        "irds:tiny/test: cannot be loaded: Failed to resolve 'host' (no network)"
    )


def test_without_ir_datasets_the_line_that_installs_it_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install .*\[eval\]'"):
        load("irds:beir/scifact/test")
