import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import collection
from small import beir

from rerank import files
from rerank.datasets import load
from rerank.errors import InputError
from rerank.records import Doc, Query

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text.split() == [text]
)

CORPUS = """\
{"_id": "d2", "title": "Two", "text": "second"}
{"_id": "d1", "title": "", "text": "first"}
"""
QUERIES = """\
{"_id": "q1", "text": "which is first?"}
{"_id": "q2", "text": "asked by nobody", "metadata": {}}
"""
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\n"


def folder(path: Path, corpus: str = CORPUS, queries: str = QUERIES, qrels: str = QRELS) -> Path:
    (path / "qrels").mkdir(parents=True)
    (path / "corpus.jsonl").write_bytes(corpus.encode())
    (path / "queries.jsonl").write_bytes(queries.encode())
    (path / "qrels" / "test.tsv").write_bytes(qrels.encode())
    return path


def refusal(path: Path, split: str = "test") -> str:
    with pytest.raises(InputError) as caught:
        load(str(path), split)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), "F")


def test_a_folder_gives_its_texts_in_file_order_and_the_grades_of_a_split(tmp_path):
    dataset = load(str(folder(tmp_path / "tiny")))
    assert dataset.name == "tiny"
    assert list(dataset.corpus.values()) == [Doc("d2", "second", "Two"), Doc("d1", "first", "")]
    assert dataset.qrels == {"q1": {"d1": 1, "d2": 0}}


def test_each_file_of_a_folder_may_be_gzip(tmp_path):
    plain = load(str(folder(tmp_path / "plain" / "tiny")))
    packed = folder(tmp_path / "packed" / "tiny")
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        path = packed / name
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert load(str(packed)) == plain
    assert refusal(packed, "dev") == "F/qrels/dev.tsv: no such split; there are: test"
    (packed / "corpus.jsonl").write_text(CORPUS)
    assert refusal(packed) == "F/corpus.jsonl: corpus.jsonl.gz is there too; remove one of them"


def test_a_line_that_is_wrong_in_a_gzip_file_is_named(tmp_path):
    packed = folder(tmp_path / "tiny")
    (packed / "corpus.jsonl").unlink()
    (packed / "corpus.jsonl.gz").write_bytes(gzip.compress(f"{CORPUS}{{}}\n".encode()))
    assert refusal(packed) == "F/corpus.jsonl.gz:3: no '_id'; there is nothing"


def test_queries_that_nobody_judged_are_kept(tmp_path):
    dataset = load(str(folder(tmp_path / "tiny")))
    assert list(dataset.queries) == ["q1", "q2"]
    assert dataset.queries["q2"] == Query("q2", "asked by nobody")


def test_ids_that_are_numbers_become_text(tmp_path):
    path = folder(
        tmp_path / "tiny",
        '{"_id": 7, "text": "a"}\n{"_id": "007", "text": "b"}',
        '{"_id": 1, "text": "c"}',
        "1\t7\t1\n1\t007\t2",
    )
    dataset = load(str(path))
    assert list(dataset.corpus) == ["7", "007"]
    assert dataset.qrels == {"1": {"7": 1, "007": 2}}


def test_a_document_may_be_judged_without_being_in_the_corpus(tmp_path):
    dataset = load(str(folder(tmp_path / "tiny", qrels="q1\telsewhere\t1\n")))
    assert dataset.qrels == {"q1": {"elsewhere": 1}}


def test_a_document_may_have_an_empty_text_and_no_title(tmp_path):
    corpus = '{"_id": "d1", "title": "only a title", "text": ""}\n{"_id": "d2", "text": ""}\n'
    corpus += '{"_id": "d3", "text": "no title", "title": null}'
    dataset = load(str(folder(tmp_path / "tiny", corpus)))
    assert list(dataset.corpus.values()) == [
        Doc("d1", "", "only a title"),
        Doc("d2", "", ""),
        Doc("d3", "no title", ""),
    ]


def test_carriage_returns_before_newlines_change_nothing(tmp_path):
    plain = load(str(folder(tmp_path / "plain" / "tiny")))
    crlf = folder(
        tmp_path / "crlf" / "tiny",
        *(text.replace("\n", "\r\n") for text in (CORPUS, QUERIES, QRELS)),
    )
    assert load(str(crlf)) == plain


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (CORPUS + CORPUS, "F/corpus.jsonl:3: document 'd2' is there twice"),
        ('{"_id": "d1", "body": "a"}', "F/corpus.jsonl:1: no 'text'; there is '_id', 'body'"),
        ('{"_id": "d1", "text": null}', "F/corpus.jsonl:1: 'text' is null"),
        ('{"_id": "d1", "text": ["a"]}', "F/corpus.jsonl:1: 'text' must be a text, not ['a']"),
        (
            '{"_id": "d1", "text": "a", "title": 3}',
            "F/corpus.jsonl:1: 'title' must be a text, not 3",
        ),
        ('{"id": "d1", "text": "a"}', "F/corpus.jsonl:1: no '_id'; there is 'id', 'text'"),
        ("{}", "F/corpus.jsonl:1: no '_id'; there is nothing"),
        (
            '{"_id": 1.5, "text": "a"}',
            "F/corpus.jsonl:1: '_id' must be a text or a whole number, not 1.5",
        ),
        (
            '{"_id": true, "text": "a"}',
            "F/corpus.jsonl:1: '_id' must be a text or a whole number, not True",
        ),
        (
            '{"_id": "a b", "text": "a"}',
            "F/corpus.jsonl:1: '_id' must be a text without white space, and not empty: 'a b'",
        ),
        (
            '{"_id": "", "text": "a"}',
            "F/corpus.jsonl:1: '_id' must be a text without white space, and not empty: ''",
        ),
        ("", "tiny: there are no documents in it"),
    ],
)
def test_a_document_that_is_wrong_is_named_with_its_line(tmp_path, corpus, message):
    assert refusal(folder(tmp_path / "tiny", corpus)) == message


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (QUERIES + QUERIES, "F/queries.jsonl:3: query 'q1' is there twice"),
        ('{"_id": "q1"}', "F/queries.jsonl:1: no 'text'; there is '_id'"),
        ('{"_id": "q1", "text": " "}', "F/queries.jsonl:1: 'text' is empty; a query needs words"),
        (
            '{"_id": "q2", "text": "a"}',
            "tiny: 1 of 1 judged queries have no text; the first is 'q1'",
        ),
        ("", "tiny: there are no queries in it"),
    ],
)
def test_a_query_that_is_wrong_is_named_with_its_line(tmp_path, queries, message):
    assert refusal(folder(tmp_path / "tiny", queries=queries)) == message


def test_a_split_that_is_not_there_names_those_that_are(tmp_path):
    path = folder(tmp_path / "tiny")
    (path / "qrels" / "dev.tsv").write_text(QRELS)
    assert refusal(path, "train") == "F/qrels/train.tsv: no such split; there are: dev, test"


def test_a_folder_that_is_no_collection_says_what_it_lacks(tmp_path):
    assert refusal(tmp_path) == "F/qrels/test.tsv: no such split; there are: none"
    path = folder(tmp_path / "tiny")
    (path / "corpus.jsonl").unlink()
    assert refusal(path) == "F/corpus.jsonl: no such file"


@pytest.mark.parametrize("source", ["", "scifact", "hub:", "irds:", "beir:scifact", __file__])
def test_a_source_that_is_nothing_of_ours_is_told_what_may_be_given(source):
    with pytest.raises(InputError) as caught:
        load(source)
    assert str(caught.value) == (
        f"no collection {source!r}: give a BEIR folder, hub:owner/name[@revision], irds:id or demo"
    )


def test_demo_is_the_collection_that_ships(tmp_path, monkeypatch):
    shipped = folder(tmp_path / "demo")
    monkeypatch.setattr(files, "PACKAGED", tmp_path)
    assert load("demo") == load(str(shipped))


@given(st.dictionaries(IDS, st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_any_corpus_reads_back_as_it_was_written(tmp_path_factory, texts):
    docs = [Doc(name, text, title) for name, (text, title) in texts.items()]
    for ascii_only in (True, False):
        corpus = [
            json.dumps(
                {"_id": doc.id, "title": doc.title, "text": doc.text}, ensure_ascii=ascii_only
            )
            for doc in docs
        ]
        path = folder(tmp_path_factory.mktemp("any") / "tiny", "\n".join(corpus))
        assert list(load(str(path)).corpus.values()) == docs


@given(st.dictionaries(IDS, TEXT.filter(str.strip), min_size=1, max_size=5), st.booleans())
def test_any_queries_read_back_as_they_were_written(tmp_path_factory, texts, ascii_only):
    rows = [
        json.dumps({"_id": name, "text": text}, ensure_ascii=ascii_only)
        for name, text in texts.items()
    ]
    qrels = f"{next(iter(texts))} 0 d1 1"
    path = folder(
        tmp_path_factory.mktemp("any") / "tiny", queries="\n".join(rows) + "\n", qrels=qrels
    )
    assert load(str(path)).queries == {name: Query(name, text) for name, text in texts.items()}


def test_reading_needs_neither_datasets_nor_ir_datasets_nor_numpy():
    heavy = "{'datasets', 'ir_datasets', 'numpy', 'pandas', 'pyarrow'}"
    code = f"import sys, rerank.datasets; print({heavy} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"


@pytest.mark.parametrize(
    ("name", "docs", "queries", "judged", "levels"),
    [
        ("cacm", 3204, 64, 52, {1: 796}),
        ("dbpedia-entity-5k", 5000, 39, 39, {0: 2787, 1: 596, 2: 256}),
        ("dl19", 20967, 43, 43, {0: 5158, 1: 1601, 2: 1804, 3: 697}),
        ("noveleval", 420, 21, 21, {0: 290, 1: 40, 2: 90}),
        ("scifact", 5183, 300, 300, {1: 339}),
        ("vaswani", 11429, 93, 93, {1: 2083}),
    ],
)
def test_a_shared_collection_has_what_its_source_says(name, docs, queries, judged, levels):
    dataset = load(str(collection(name)))
    grades = [grade for row in dataset.qrels.values() for grade in row.values()]
    sizes = [len(part) for part in (dataset.corpus, dataset.queries, dataset.qrels)]
    assert sizes == [docs, queries, judged]
    assert {level: grades.count(level) for level in set(grades)} == levels


def test_a_collection_of_ones_own_is_not_taken_for_the_one_that_ships(tmp_path, monkeypatch):
    """The one that ships was ranked without a word."""
    beir(tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    assert len(load("./demo").corpus) < len(load(str(files.shipped("demo"))).corpus)
    with pytest.raises(InputError, match=r"write \./demo"):
        load("demo")
