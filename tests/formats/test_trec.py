import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import collection

from rerank.datasets import read_qrels, read_run
from rerank.errors import InputError

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text.split() == [text] and not text.startswith("\ufeff")
)
SCORES = st.floats(allow_nan=False, allow_infinity=False)
RUN = "q2 Q0 d1 1 9.5 bm25\nq1 Q0 d3 1 1 bm25\nq1 Q0 d2 2 -1e-3 bm25\nq2 Q0 d2 2 9.5 bm25\n"
BEIR = "a BEIR tsv has 3: query-id corpus-id score"
TREC = "TREC qrels has 4: query iteration document grade"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "file"


def refusal(read, path, text: str) -> str:
    path.write_text(text, newline="")
    with pytest.raises(InputError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), "F")


def test_a_run_keeps_the_order_of_the_file_not_of_its_scores(file):
    file.write_text(RUN)
    run = read_run(file)
    assert run == {"q2": {"d1": 9.5, "d2": 9.5}, "q1": {"d3": 1.0, "d2": -0.001}}
    assert [list(run), list(run["q2"])] == [["q2", "q1"], ["d1", "d2"]]


def test_a_run_may_be_gzip_and_its_columns_any_white_space_apart(file):
    file.write_bytes(gzip.compress(RUN.replace(" ", "\t  ").replace("\n", "\r\n").encode()))
    assert read_run(file) == {"q2": {"d1": 9.5, "d2": 9.5}, "q1": {"d3": 1.0, "d2": -0.001}}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "q1 d9 3 0.5 bm25",
            "F:5: 5 columns; a run has 6: query Q0 document rank score tag",
        ),
        ("q1 Q0 d9 3 0.5 my tag", "F:5: 7 columns; a run has 6: query Q0 document rank score tag"),
        ("q1 Q0 d3 3 0.5 bm25", "F:5: document 'd3' is there twice for query 'q1'"),
        ("q1 Q0 d9 3 nan bm25", "F:5: a score must be finite, not 'nan'"),
        ("q1 Q0 d9 3 -inf bm25", "F:5: a score must be finite, not '-inf'"),
        ("q1 Q0 d9 3 1e999 bm25", "F:5: a score must be finite, not '1e999'"),
        ("q1 Q0 d9 3 0,5 bm25", "F:5: a score must be a number, not '0,5'"),
        ("q1 Q0 d9 3 1_0 bm25", "F:5: a score must be a number, not '1_0'"),
        ("q1 Q0 d9 3 \uff11 bm25", "F:5: a score must be a number, not '\uff11'"),
    ],
)
def test_a_run_line_that_is_wrong_is_named(file, line, message):
    assert refusal(read_run, file, RUN + line) == message


LONG = [f"q{n % 7} Q0 d{n} {n} {-n / 8} long" for n in range(5000)]  # more than one block


def test_a_long_run_reads_as_its_lines_do_though_its_queries_take_turns(file):
    file.write_text("\n".join(LONG))
    run = read_run(file)
    assert [len(docs) for docs in run.values()] == [715, 715, 714, 714, 714, 714, 714]
    assert run["q3"]["d4742"] == -592.75 and list(run["q6"])[:2] == ["d6", "d13"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q1 Q0 d1 9 1 long", "F:4001: document 'd1' is there twice for query 'q1'"),
        ("q1 Q0 x 9 nan long", "F:4001: a score must be finite, not 'nan'"),
        ("q1 Q0 x 9 one long", "F:4001: a score must be a number, not 'one'"),
        ("q1 Q0 x 9 1", "F:4001: 5 columns; a run has 6: query Q0 document rank score tag"),
        (
            "q1 Q0 x 9 1 a b\nq1 Q0 y 9 1",  # 12 columns in two lines
            "F:4001: 7 columns; a run has 6: query Q0 document rank score tag",
        ),
        (
            "q1 Q0 x\nq1 Q0 \0 9 1 a b c d",  # and with a sign that blocks of lines use
            "F:4001: 3 columns; a run has 6: query Q0 document rank score tag",
        ),
    ],
)
def test_a_wrong_line_far_into_a_long_run_is_named(file, line, message):
    text = "\n".join([*LONG[:4000], line, *LONG[4000:]])
    assert refusal(read_run, file, text) == message


def test_blank_lines_byte_order_marks_and_odd_ids_do_not_matter(file):
    file.write_bytes("\ufeffq Q0 \0 1 2 t\n\n \t\nq\u3000Q0 d\u200b 2 10 t".encode())
    assert read_run(file) == {"q": {"\0": 2.0, "d\u200b": 10.0}}


def test_an_empty_run_is_an_error(file):
    wanted = "F: empty; a run has 6: query Q0 document rank score tag"
    assert refusal(read_run, file, "\n") == wanted


@given(
    st.dictionaries(
        IDS, st.dictionaries(IDS, SCORES, min_size=1, max_size=4), min_size=1, max_size=4
    )
)
def test_any_run_reads_back_as_it_was_written(tmp_path_factory, run):
    path = tmp_path_factory.mktemp("any") / "run"
    rows = [
        f"{query} Q0 {doc} 1 {score!r} any\n"
        for query, docs in run.items()
        for doc, score in docs.items()
    ]
    path.write_bytes("".join(rows).encode())
    assert read_run(path) == run
    assert [*map(list, read_run(path).values())] == [*map(list, run.values())]


@pytest.mark.parametrize("first", ["corpus-id query-id score", "query-id score corpus-id", "a b c"])
def test_a_header_of_other_columns_is_refused(file, first):
    wanted = f"F:1: neither a judgment nor a header query-id corpus-id score: {first}"
    assert refusal(read_qrels, file, f"{first}\nd1 q1 1\n") == wanted


@pytest.mark.parametrize(
    "text",
    [
        "Query_ID\tDocID\tRel\nq1\td1\t1\nq1\td2\t0\nq2\td1\t-1\n",
        "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq2\td1\t-1\n",
        "topic doc relevance\nq1 d1 1\nq1 d2 0\nq2 d1 -1\n",
        "q1\td1\t1\nq1\td2\t0\nq2\td1\t-1",
        "q1\td1\t1\r\nq1\td2\t0\r\nq2\td1\t-1\r\n",
        "q1 0 d1 1\nq1 0 d2 0\nq2 0 d1 -1\n",
        "q1\tQ0\td1\t1\n\nq1  0 d2\t0\nq2 4.5 d1 -1\n",
    ],
)
def test_qrels_are_recognised_by_their_columns(file, text):
    file.write_text(text, newline="")
    assert read_qrels(file) == {"q1": {"d1": 1, "d2": 0}, "q2": {"d1": -1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1 0 d2 1",
            f"F:3: 4 columns in a file that began with 3; {BEIR}; {TREC}",
        ),
        (
            "q1 0 d1 1\nq1\td2\t1",
            f"F:2: 3 columns in a file that began with 4; {BEIR}; {TREC}",
        ),
        ("q1 0 d1 1\nq1 0 d2", f"F:2: 3 columns in a file that began with 4; {BEIR}; {TREC}"),
        ("q1 d1", f"F:1: 2 columns; {BEIR}; {TREC}"),
        ("q1 Q0 d1 1 0.5 bm25", f"F:1: 6 columns; {BEIR}; {TREC}"),
        ("q1 0 d1 1.0", "F:1: a grade must be a whole number, not '1.0'"),
        ("q1\td1\t0.5", "F:1: a grade must be a whole number, not '0.5'"),
        ("q1\td1\tnan", "F:1: a grade must be a whole number, not 'nan'"),
        ("q1\td1\tyes", "F:1: a grade must be a whole number, not 'yes'"),
        ("q1\td1\t1_0", "F:1: a grade must be a whole number, not '1_0'"),
        (
            "q1\td1\t1\nquery-id\tcorpus-id\tscore",
            "F:2: a grade must be a whole number, not 'score'",
        ),
        (
            "q1\td1\t1\nq2\td1\t0\nq1\td1\t1",
            "F:3: document 'd1' is judged for query 'q1' at F:1 too",
        ),
        ("q1 0 d1 1\nq1 1 d1 2", "F:2: document 'd1' is judged for query 'q1' at F:1 too"),
        (
            "q1\tthe doc\t1",
            "F:1: 'corpus-id' must be a text without white space, and not empty: 'the doc'",
        ),
        ("\td1\t1", "F:1: 'query-id' must be a text without white space, and not empty: ''"),
        ("query-id\tcorpus-id\tscore\n", f"F: no judgments in it; {BEIR}; {TREC}"),
        ("", f"F: no judgments in it; {BEIR}; {TREC}"),
    ],
)
def test_qrels_that_are_wrong_are_named_with_their_line(file, text, message):
    assert refusal(read_qrels, file, text) == message


@given(
    st.dictionaries(
        IDS,
        st.dictionaries(IDS, st.integers(-2, 4), min_size=1, max_size=4),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["{}\t{}\t{}\n", "{} 0 {} {}\n"]),
)
def test_any_qrels_read_back_in_both_forms(tmp_path_factory, qrels, form):
    path = tmp_path_factory.mktemp("any") / "qrels"
    rows = [
        form.format(query, doc, grade)
        for query, docs in qrels.items()
        for doc, grade in docs.items()
    ]
    path.write_bytes("".join(rows).encode())
    assert read_qrels(path) == qrels


def test_the_shared_runs_and_grades_of_dl19_are_read_whole():
    folder = collection("dl19")
    runs = {path.name: read_run(path) for path in sorted((folder / "runs").glob("*.trec.gz"))}
    assert len(runs) == 25
    assert all(len(run) == 43 for run in runs.values())
    grades = read_qrels(folder / "llm_grades" / "llama3-70b.four_prompts.qrels.gz")
    assert grades.keys() == read_qrels(folder / "qrels" / "test.tsv").keys()
