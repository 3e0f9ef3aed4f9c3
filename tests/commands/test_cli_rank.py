"""`rerank rank` and `rerank eval`: texts and runs that anybody has."""

import gzip
import io
import json
import sys
from pathlib import Path

import pytest
from typed import by_length, engines, rows

from rerank.wants import Reply

pytestmark = pytest.mark.usefixtures("here")


QRELS = "q1\td1\t1\nq1\td2\t0\nq2\td1\t2\n"
RUN = "q1 Q0 d1 1 9 t\nq1 Q0 d2 2 8 t\nq3 Q0 d1 1 1 t\n"


@pytest.fixture
def judged(here):
    Path("qrels.tsv").write_text(QRELS)
    Path("one.trec").write_text(RUN)
    Path("two.trec.gz").write_bytes(gzip.compress(RUN.replace("q3", "q2").encode()))
    return "--qrels", "qrels.tsv"


def test_eval_scores_runs_and_tells_of_absent_queries_on_stderr(rerank, judged):
    measures = "-m", "ndcg@10", "-m", "p@1"
    code, out, err = rerank("eval", "one.trec", "two.trec.gz", *judged, *measures)
    one, two = rows(out)
    assert code == 0
    assert one == {"run": "one.trec", "ndcg@10": "0.5000", "precision@1": "0.5000"}
    assert two == {"run": "two.trec.gz", "ndcg@10": "1.0000", "precision@1": "1.0000"}
    assert [line.split(": ", 2)[1] for line in err.splitlines()] == ["one.trec", "one.trec"]
    assert "'q2'" in err and "'q3'" in err


def test_eval_prints_queries_one_by_one_and_json(rerank, judged):
    _, out, _ = rerank("eval", "one.trec", *judged, "--per-query", "-m", "mrr")
    assert [(row["query"], row["mrr"]) for row in rows(out)] == [
        ("q1", "1.0000"), ("q2", "0.0000"), ("all", "0.5000"),
    ]  # fmt: skip
    _, out, _ = rerank("eval", "one.trec", "two.trec.gz", *judged, "--json", "--per-query")
    found = json.loads(out)
    assert list(found) == ["one.trec", "two.trec.gz"]
    assert set(found["one.trec"]) == {"ndcg@10", "map", "mrr@10", "recall@100", "per_query"}
    assert found["one.trec"]["per_query"]["map"] == {"q1": 1.0, "q2": 0.0}
    _, out, _ = rerank("eval", "one.trec", *judged, "--json")
    assert "per_query" not in json.loads(out)["one.trec"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["one.trec", "--qrels", "nope.tsv"], 4, "nope.tsv: no such file"),
        (["nope.trec", "--qrels", "qrels.tsv"], 4, "nope.trec: no such file"),
        (["one.trec", "--qrels", "one.trec"], 4, "one.trec:1: 6 columns"),
        (["one.trec", "--qrels", "qrels.tsv", "-m", "ndgc"], 2, "did you mean ndcg?"),
        (["qrels.tsv", "--qrels", "qrels.tsv"], 4, "qrels.tsv:1: 3 columns; a run has 6"),
    ],
)
def test_a_mistake_in_eval_is_one_line(fails, judged, arguments, code, says):
    left, err = fails("eval", *arguments)
    assert left == code and says in err


def test_a_command_line_that_cannot_be_read_is_usage_in_one_line(fails, judged):
    for wrong, says in (
        (["run"], "Missing argument 'RECIPE'; see `rerank run --help`"),
        (["eval", "one.trec"], "Missing option '--qrels'; see `rerank eval --help`"),
        (["run", "--limit", "0", "x"], "Invalid value for '--limit': it should be 1 or more; see"),
        (["run", "--limit", "a", "x"], "Invalid value for '--limit': it should be a whole number;"),
        (["nope"], "No such command 'nope'; see `rerank --help`"),
        (["rank", "--bogus"], "No such option: --bogus; see `rerank rank --help`"),
    ):
        code, err = fails(*wrong)
        assert code == 2 and says in err


@pytest.fixture
def sky(monkeypatch):
    """Texts, and a model that scores how often a document says sky."""
    Path("texts.txt").write_text("fish swim\nthe sky is blue\n\nsky, sky and sky\n")
    return engines(monkeypatch, lambda r: Reply(scores=(float(r.want.doc.count("sky")),)))


def test_rank_prints_rank_score_and_line_best_first(rerank, sky):
    code, out, err = rerank("rank", "sky", "texts.txt")
    assert (code, err) == (0, "")
    assert out == "1\t3.0000\tsky, sky and sky\n2\t1.0000\tthe sky is blue\n3\t0.0000\tfish swim\n"
    assert sky == [("scorer", "boxed", {})]


def test_rank_asks_a_model_by_the_method_that_fits_it(rerank, sky, monkeypatch):
    """It took every model for a scorer, and refused the language model that ships."""
    pytest.importorskip("transformers")
    likely = [float(place) for place in range(26)]
    opened = engines(monkeypatch, lambda r: Reply(scores=(*likely[: len(r.want.labels)],)))
    code, out, err = rerank("rank", "sky", "texts.txt", "--model", "boxed-decoder")
    assert (code, err) == (0, "") and out.splitlines()[0] == "1\t-\tsky, sky and sky"
    [(engine, model, _)] = opened
    assert engine != "scorer" and model == "boxed-decoder"


def test_rank_takes_stdin_json_lines_and_top_n(rerank, sky, monkeypatch):
    lines = '{"text": "sea", "id": 7}\r\n{"title": "sky", "text": "sky é"}\r\nplain\r\n'
    stdin(monkeypatch, lines.encode())
    _, out, _ = rerank("rank", "sky", "-", "--top-n", 2)
    assert out.splitlines() == [
        '1\t2.0000\t{"title": "sky", "text": "sky é"}',
        '2\t0.0000\t{"text": "sea", "id": 7}',
    ]
    stdin(monkeypatch, lines.encode())
    _, out, _ = rerank("rank", "sky", "-", "--json")
    first, second, third = json.loads(out)
    assert first == {"index": 1, "rank": 1, "score": 2.0, "id": None, "probability": None,
                     "document": {"title": "sky", "text": "sky é"}}  # fmt: skip
    assert (second["index"], third["document"]) == (0, "plain")


def stdin(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), errors="strict"))


def test_bytes_on_stdin_that_are_no_text_are_named_by_line(fails, sky, monkeypatch):
    """It was a traceback, or ranked as if nothing were wrong."""
    stdin(monkeypatch, b"sky\ncaf\xe9\n")
    code, err = fails("rank", "sky", "-")
    assert code == 4 and "-:2: not UTF-8: byte 0xe9 at byte 4 of the line" in err


def test_rank_reads_lines_that_end_at_a_newline_only(rerank, sky):
    Path("odd.txt").write_bytes("one\u2028sky\x0cline\nother\n".encode())
    _, out, _ = rerank("rank", "sky", "odd.txt", "--json")
    assert [hit["document"] for hit in json.loads(out)] == ["one\u2028sky\x0cline", "other"]


def test_an_empty_file_is_refused_with_its_name_and_what_it_should_hold(fails, sky, monkeypatch):
    """It was exit 0 and no word: a pipe that brings nothing is most often a mistake before it."""
    Path("empty.txt").write_text("\n")
    line = "nothing to rank in it; it should hold a text or a JSON object a line\n"
    for more in ((), ("--json",)):
        assert fails("rank", "sky", "empty.txt", *more) == (4, f"rerank: empty.txt: {line}")
    stdin(monkeypatch, b"")
    assert fails("rank", "sky", "-") == (4, f"rerank: stdin: {line}")
    assert sky == []


def test_rank_with_a_score_that_cannot_be_read_is_done_with_7_and_valid_json(
    rerank, sky, monkeypatch
):
    engines(monkeypatch, lambda request: Reply(scores=(float("nan"),)))
    code, out, _ = rerank("rank", "sky", "texts.txt", "--json")
    assert code == 7
    assert [hit["score"] for hit in json.loads(out, parse_constant=pytest.fail)] == [None] * 3
    code, out, _ = rerank("rank", "sky", "texts.txt")
    assert code == 7 and out.startswith("1\t-\tfish swim\n")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nope.txt"], 4, "nope.txt: no such file"),
        (["bad.jsonl"], 4, "bad.jsonl:2: not JSON"),
        (["textless.jsonl"], 4, "textless.jsonl:1: a JSON object needs a 'text'"),
        (["latin.txt"], 4, "latin.txt:1: not UTF-8"),
        (["texts.txt", "--method", "nope"], 2, "no method 'nope'; auto takes one that fits"),
        (["texts.txt", "--method", "first-stage"], 2, "method first-stage asks nothing"),
        (["texts.txt", "--engine", "nope"], 2, "no engine 'nope'; there are: auto, vllm, http"),
        (["texts.txt", "--engine", "scorer", "--base-url", "http://x/v1"], 2,
         "--base-url is for engine http, not scorer"),
    ],
)  # fmt: skip
def test_a_mistake_in_rank_is_one_line(fails, sky, arguments, code, says):
    Path("bad.jsonl").write_text('{"text": "a"}\n{"text"\n')
    Path("textless.jsonl").write_text('{"body": "a"}\n')
    Path("latin.txt").write_bytes(b"caf\xe9\n")
    left, err = fails("rank", "sky", *arguments)
    assert left == code and says in err


def test_an_empty_query_is_refused_and_no_model_is_opened(fails, sky, monkeypatch):
    opened = engines(monkeypatch, by_length)
    code, err = fails("rank", " ", "texts.txt")
    assert code == 4 and "the query is empty" in err and not opened


def test_rank_says_how_many_answers_could_not_be_read(rerank, sky, monkeypatch):
    engines(monkeypatch, lambda request: Reply(text="I would rather not say"))
    code, _, err = rerank("rank", "sky", "texts.txt", "--method", "listwise")
    assert (code, err) == (7, "rerank: texts.txt: 1 of 1 answers could not be read\n")
