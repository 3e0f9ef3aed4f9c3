import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import collection

from rerank.datasets import (
    Candidates,
    Dataset,
    from_run,
    load,
    read_candidates,
    read_run,
    write_candidates,
)
from rerank.errors import InputError
from rerank.records import Doc, Query

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
IDS = TEXT.filter(lambda text: text.split() == [text])

ROW = """\
{"query": {"text": "how are you", "qid": 264014}, "candidates": [\
{"docid": "4834547", "score": 14.9, "doc": {"contents": "fine"}}, \
{"docid": 6, "score": 15, "doc": {"title": "A title", "segment": "well", "url": "x"}}]}
"""
READ = Candidates(
    {"264014": Query("264014", "how are you")},
    {"264014": [Doc("4834547", "fine"), Doc("6", "well", "A title")]},
    {"264014": {"4834547": 14.9, "6": 15.0}},
)

THREE = Dataset(
    "three",
    {"q1": Query("q1", "one?")},
    {},
    {name: Doc(name, f"text of {name}") for name in ("a", "b", "c")},
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "candidates.jsonl"


def refusal(path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_candidates(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), "F")


def one(candidate: str) -> str:
    return '{"query": {"qid": "q", "text": "?"}, "candidates": [' + candidate + "]}"


def test_rankllm_lines_give_queries_documents_and_scores_in_file_order(file):
    file.write_text(ROW)
    assert read_candidates(file) == READ


def test_the_json_array_that_rankllm_writes_is_read_too(tmp_path):
    path = tmp_path / "retrieve_results.json"
    path.write_text(json.dumps([json.loads(ROW)], indent=2))
    assert read_candidates(path) == READ


def test_candidates_may_be_gzip(file):
    file.write_bytes(gzip.compress(ROW.encode()))
    assert read_candidates(file) == READ


@pytest.mark.parametrize("key", ["text", "segment", "contents", "content", "body", "passage"])
def test_a_text_is_found_under_every_key_that_rankllm_knows(file, key):
    file.write_text(one(f'{{"docid": "d", "score": 1, "doc": {{"id": "d", "{key}": "words"}}}}'))
    assert read_candidates(file).docs == {"q": [Doc("d", "words")]}


def test_a_document_may_be_just_its_text(file):
    file.write_text(one('{"docid": "d", "score": 1, "doc": "words"}'))
    assert read_candidates(file).docs == {"q": [Doc("d", "words")]}


def test_a_query_may_have_no_candidates(file):
    file.write_text(one(""))
    assert read_candidates(file).docs == {"q": []}


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        ('{"score": 1, "doc": "a"}', "no 'docid'; there is 'score', 'doc'"),
        ('{"docid": "d", "doc": "a"}', "no 'score'; there is 'docid', 'doc'"),
        ('{"docid": "d", "score": 1}', "no 'doc'; there is 'docid', 'score'"),
        ('{"docid": "d", "score": 1, "doc": null}', "'doc' is null"),
        ('{"docid": "d", "score": 1, "doc": 5}', "'doc' must be an object, not '5'"),
        (
            '{"docid": "d", "score": 1, "doc": {"abstract": "a"}}',
            "'doc' has no text under any of text, segment, contents, content, body, passage; "
            "there is 'abstract'",
        ),
        (
            '{"docid": "d", "score": 1, "doc": {"text": null}}',
            "'doc' has no text under any of text, segment, contents, content, body, passage; "
            "there is 'text'",
        ),
        ('{"docid": "d", "score": 1, "doc": {"text": 5}}', "'text' must be a text, not 5"),
        ('{"docid": "d", "score": NaN, "doc": "a"}', "'score' must be finite, not nan"),
        ('{"docid": "d", "score": -Infinity, "doc": "a"}', "'score' must be finite, not -inf"),
        ('{"docid": "d", "score": "1", "doc": "a"}', "'score' must be a number, not '1'"),
        ('{"docid": "d", "score": true, "doc": "a"}', "'score' must be a number, not True"),
        (
            '{"docid": 1.5, "score": 1, "doc": "a"}',
            "'docid' must be a text or a whole number, not 1.5",
        ),
        (
            '{"docid": "a b", "score": 1, "doc": "a"}',
            "'docid' must be a text without white space, and not empty: 'a b'",
        ),
        ('"d"', "a candidate must be an object, not 'd'"),
    ],
)
def test_a_candidate_that_is_wrong_is_named_with_line_and_place(file, candidate, message):
    text = ROW + one('{"docid": "before", "score": 2, "doc": "a"}, ' + candidate)
    assert refusal(file, text) == f"F:2, candidate 2: {message}"
    assert refusal(file, f"[{ROW},{text.splitlines()[1]}]") == (
        f"F, query 2, candidate 2: {message}"
    )


def test_a_document_that_comes_twice_for_a_query_is_an_error(file):
    twice = one('{"docid": 7, "score": 2, "doc": "a"}, {"docid": "7", "score": 1, "doc": "b"}')
    assert refusal(file, twice) == "F:1, candidate 2: document '7' is there twice"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROW + ROW, "F:2: query '264014' is there twice"),
        ('{"candidates": []}', "F:1: no 'query'; there is 'candidates'"),
        ('{"query": {"text": "?"}, "candidates": []}', "F:1: no 'qid'; there is 'text'"),
        ('{"query": {"qid": 1}, "candidates": []}', "F:1: no 'text'; there is 'qid'"),
        (
            '{"query": {"qid": 1, "text": ""}, "candidates": []}',
            "F:1: 'text' is empty; a query needs words",
        ),
        (
            '{"query": "who is robert gray", "hits": []}',
            "F:1: 'query' must be an object, not 'who is robert gray'",
        ),
        ('{"query": {"qid": 1, "text": "?"}}', "F:1: no 'candidates'; there is 'query'"),
        (
            '{"query": {"qid": 1, "text": "?"}, "candidates": {}}',
            "F:1: 'candidates' must be a list",
        ),
        (ROW + "[]", "F:2: needs a JSON object, not '[]'"),
        ("[5]", "F, query 1: a query must be an object, not '5'"),
        ("[\n{},\n{]", "F:3: not JSON at column 2: Expecting property name enclosed in double"),
        ("[]", "F: no queries in it"),
        ('[\n{"a": "\\ud800"}]', "F: half of a surrogate pair"),
        ("", "F: no queries in it"),
    ],
)
def test_a_query_that_is_wrong_is_named(file, text, message):
    assert refusal(file, text).startswith(message)


@pytest.mark.parametrize("name", ["candidates.jsonl", "candidates.jsonl.gz"])
def test_what_is_written_is_rankllms_format_and_nothing_else_is_left(tmp_path, name):
    path = tmp_path / name
    write_candidates(path, READ)
    assert read_candidates(path) == READ
    assert [other.name for other in tmp_path.iterdir()] == [name]
    raw = path.read_bytes()
    write_candidates(path, READ)
    assert path.read_bytes() == raw
    assert json.loads(gzip.decompress(raw) if name.endswith(".gz") else raw) == {
        "query": {"qid": "264014", "text": "how are you"},
        "candidates": [
            {"docid": "4834547", "score": 14.9, "doc": {"text": "fine"}},
            {"docid": "6", "score": 15.0, "doc": {"title": "A title", "text": "well"}},
        ],
    }


def test_a_write_that_fails_leaves_the_old_file(file):
    write_candidates(file, READ)
    with pytest.raises(KeyError):
        write_candidates(file, READ._replace(scores={}))
    assert read_candidates(file) == READ


@given(
    TEXT.filter(str.strip),
    st.dictionaries(
        IDS, st.tuples(TEXT, TEXT, st.floats(allow_nan=False, allow_infinity=False)), max_size=4
    ),
)
def test_any_candidates_read_back_as_they_were_written(tmp_path_factory, words, found):
    path = tmp_path_factory.mktemp("any") / "candidates.jsonl"
    candidates = Candidates(
        {"q": Query("q", words)},
        {"q": [Doc(name, text, title) for name, (text, title, _) in found.items()]},
        {"q": {name: score for name, (_, _, score) in found.items()}},
    )
    write_candidates(path, candidates)
    assert read_candidates(path) == candidates


def test_a_run_gives_the_best_documents_and_ties_keep_its_order():
    run = {"q1": {"c": 1.0, "b": 2.0, "a": 1.0}}
    found = from_run(run, THREE, depth=3)
    assert [doc.id for doc in found["q1"]] == ["b", "c", "a"]
    assert from_run(run, THREE, depth=2) == {"q1": found["q1"][:2]}
    assert found["q1"][0] == Doc("b", "text of b")


def test_a_run_with_documents_that_have_no_text_counts_them_and_names_the_first():
    run = {"q1": {"a": 3.0, "x": 2.0, "y": 1.0}}
    with pytest.raises(InputError) as caught:
        from_run(run, THREE, depth=3)
    assert str(caught.value) == (
        "three: 2 of 3 documents in the run have no text in it; the first is 'x' of query 'q1'"
    )
    assert from_run(run, THREE, depth=1) == {"q1": [Doc("a", "text of a")]}


def test_a_run_with_queries_that_the_dataset_lacks_is_an_error():
    with pytest.raises(InputError) as caught:
        from_run({"q1": {"a": 1.0}, "q7": {"a": 1.0}}, THREE, depth=3)
    assert str(caught.value) == "three: 1 of 2 queries in the run are not in it; the first is 'q7'"


def test_the_bm25_run_of_dl19_becomes_candidates_and_comes_back_from_a_file(file):
    dataset = load(str(collection("dl19")))
    run = read_run(collection("dl19") / "runs" / "bm25.trec.gz")
    docs = from_run(run, dataset, depth=100)
    assert {len(found) for found in docs.values()} == {100}
    candidates = Candidates({name: dataset.queries[name] for name in docs}, docs, run)
    write_candidates(file, candidates)
    assert read_candidates(file) == candidates
