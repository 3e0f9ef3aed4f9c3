"""Files with tabs are read as they are, and what is wrong in one is named with its line."""

import pytest
from entries import ranked, refusal, tsv
from small import beir

from rerank.datasets import load_entry
from rerank.recipes.suites import Entry
from rerank.records import Doc


def test_files_with_tabs_have_texts_behind_the_first(tmp_path):
    dataset = load_entry(tsv(tmp_path / "t2"))
    assert [*dataset.corpus.values()] == [
        Doc("1", "大学在城里"),
        Doc("2", "one\ttab more"),
        Doc("03", ""),
    ]
    assert dataset.queries.keys() == {"7", "8"}


def test_a_pair_that_is_judged_twice_has_the_higher_grade(tmp_path):
    assert load_entry(tsv(tmp_path / "t2")).qrels == {"7": {"1": 3, "2": 0}}


def test_two_columns_of_judgments_say_what_is_relevant(tmp_path):
    for text in ("qid\tpid\n7\t1\n7\t03\n", "7\t1\r\n7\t03\r\n"):
        assert load_entry(tsv(tmp_path, qrels=text)).qrels == {"7": {"1": 1, "03": 1}}


def test_files_without_a_header_lose_no_line(tmp_path):
    bare = tsv(tmp_path, "a\tfirst\nb\tsecond\n", "q\twhat text\n", "q Q0 a 1\n")
    dataset = load_entry(bare)
    assert [*dataset.corpus] == ["a", "b"] and dataset.qrels == {"q": {"a": 1}}


def test_files_may_go_by_other_names(tmp_path):
    entry = tsv(tmp_path, files={"qrels": "data/qrels.dev.tsv"})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "qrels.dev.tsv").write_text("8\t2\n")
    assert load_entry(entry).qrels == {"8": {"2": 1}}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"corpus": "1\ta\n2 b\n"}, "F/collection.tsv:2: no tab; a line is an id, a tab and"),
        ({"corpus": "1\ta\n1\tb\n"}, "F/collection.tsv:2: document '1' is there twice"),
        ({"queries": "7\t \n"}, "F/queries.tsv:1: 'text' is empty; a query needs words"),
        ({"qrels": "7 0 1\n"}, "F/qrels.tsv:1: 3 columns; judgments have 2 (query document)"),
        ({"qrels": "7 0 1 x\n"}, "F/qrels.tsv:1: a grade must be a whole number, not 'x'"),
        ({"qrels": "9\t1\n"}, "F: 1 of 1 judged queries have no text; the first is '9'"),
    ],
)
def test_what_is_wrong_in_a_file_with_tabs_is_named_with_its_line(tmp_path, parts, message):
    assert refusal(tsv(tmp_path, **parts), tmp_path).startswith(message)


def test_a_file_that_is_not_there_is_named(tmp_path):
    entry = tsv(tmp_path, files={"corpus": "gone.tsv"})
    assert refusal(entry, tmp_path) == "F/gone.tsv: no such file"


def test_the_judged_documents_may_be_the_only_candidates(tmp_path):
    beir(tmp_path / "data")
    lines = "query-id\tcorpus-id\tscore\nq0\td3\t0\nq0\td1\t1\n"
    (tmp_path / "data" / "qrels" / "test.tsv").write_text(lines)
    found = ranked(tmp_path, f'source = "{tmp_path}/data", judged_only = true')
    assert {*found["q0"]} == {"d1", "d3"}


def test_a_document_with_the_id_of_the_query_is_no_candidate(tmp_path):
    beir(tmp_path / "data")
    for name in ("queries.jsonl", "qrels/test.tsv"):
        path = tmp_path / "data" / name
        path.write_text(path.read_text().replace("q1", "d1"))
    where = f'source = "{tmp_path}/data"'
    assert "d1" in ranked(tmp_path, where)["d1"]
    found = ranked(tmp_path, f"{where}, exclude_query = true")
    assert "d1" not in found["d1"] and len(found["d1"]) == 11 and len(found["q0"]) == 12
    assert len(ranked(tmp_path, f"{where}, exclude_query = true", "depth=11")["d1"]) == 11


def test_excluded_documents_may_be_listed_in_a_file(tmp_path):
    beir(tmp_path / "data")
    (tmp_path / "out.tsv").write_text("q0\td3\t1\nq0\td5\n")
    entry = Entry(source=str(tmp_path / "data"), excluded=str(tmp_path / "out.tsv"))
    dataset = load_entry(entry)
    assert dataset.qrels["q0"].keys().isdisjoint({"d3", "d5"}) and "d3" in dataset.qrels["q1"]
    found = ranked(tmp_path, f'source = "{tmp_path}/data", excluded = "{tmp_path}/out.tsv"')
    assert {*found["q0"]}.isdisjoint({"d3", "d5"}) and len(found["q0"]) == 10
    (tmp_path / "out.tsv").write_text("q0 d3\nq0\n")
    assert refusal(entry, tmp_path) == (
        "F/out.tsv:2: needs two columns: a query id and a document id"
    )


def test_judgments_may_lie_elsewhere(tmp_path):
    beir(tmp_path / "data")
    (tmp_path / "mended.txt").write_text("q0 0 d3 3\n")
    entry = Entry(source=str(tmp_path / "data"), qrels=str(tmp_path / "mended.txt"))
    assert load_entry(entry).qrels == {"q0": {"d3": 3}}
