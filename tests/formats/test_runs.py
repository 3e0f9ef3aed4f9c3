import gzip
import json
import shutil
import stat

import pytest

from rerank import runs
from rerank.errors import InputError
from rerank.records import Doc
from rerank.runs import ranked_run, read_results, write_result, write_run

APPLE, PEAR, PLUM = Doc("apple", "a"), Doc("pear", "b"), Doc("plum", "c")


def test_a_ranking_becomes_strictly_falling_scores_that_end_at_one():
    assert ranked_run({"q": [PEAR, APPLE, PLUM], "empty": []}) == {
        "q": {"pear": 3.0, "apple": 2.0, "plum": 1.0},
        "empty": {},
    }


def test_a_document_ranked_twice_is_refused_by_name():
    with pytest.raises(InputError, match="query q: document pear is ranked twice"):
        ranked_run({"q": [PEAR, APPLE, PEAR]})


def test_a_run_is_six_columns_by_query_id_and_falling_score(tmp_path):
    write_run(tmp_path / "run.trec", {"q2": {"b": -1.5, "a": 7}, "q1": {"c": 0.25}}, "bm25")
    assert (tmp_path / "run.trec").read_text() == (
        "q1 Q0 c 1 1 bm25\nq2 Q0 a 1 2 bm25\nq2 Q0 b 2 1 bm25\n"
    )


def test_tied_documents_keep_their_order_and_are_no_longer_tied(tmp_path):
    write_run(tmp_path / "run.trec", {"q": {"b": 0.5, "c": 0.5, "a": 0.5}}, "t")
    assert (tmp_path / "run.trec").read_text() == "q Q0 b 1 3 t\nq Q0 c 2 2 t\nq Q0 a 3 1 t\n"


def test_the_same_run_gives_the_same_compressed_bytes_in_any_folder_on_any_day(
    tmp_path, monkeypatch
):
    first, second = tmp_path / "one" / "run.trec.gz", tmp_path / "two" / "other.trec.gz"
    write_run(first, {"q1": {"a": 2, "b": 1}, "q2": {"é": 1}}, "t")
    monkeypatch.setattr("time.time", lambda: 4e9)
    write_run(second, {"q2": {"é": 1}, "q1": {"b": 1, "a": 2}}, "t")
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes()[3:8] == b"\0\0\0\0\0"  # no file name, no time
    assert gzip.decompress(first.read_bytes()).decode().splitlines()[2] == "q2 Q0 é 1 1 t"


@pytest.mark.parametrize("odd", ["a b", "a\tb", "a\n", "a\u00a0b", ""])
def test_ids_and_tags_with_white_space_are_refused_by_name_and_nothing_is_written(tmp_path, odd):
    path = tmp_path / "run.trec.gz"
    for run, tag, what in (
        ({"q": {odd: 1.0}}, "t", "document id"),
        ({odd: {"d": 1.0}}, "t", "query id"),
        ({"q": {"d": 1.0}}, odd, "tag"),
    ):
        with pytest.raises(InputError) as error:
            write_run(path, run, tag)
        assert f"the {what} {odd!r}" in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_score_that_has_no_rank_is_refused_by_query(tmp_path, odd):
    with pytest.raises(InputError, match="query q7: a score is not a finite number"):
        write_run(tmp_path / "run.trec", {"q7": {"a": 1.0, "b": odd}}, "t")


def test_a_result_has_sorted_keys_numbers_as_they_are_and_a_line_end(tmp_path):
    write_result(tmp_path / "dl19" / "bm25", {"z": 0.1 + 0.2, "a": {"é": 1}})
    assert (tmp_path / "dl19" / "bm25" / "result.json").read_text("utf-8") == (
        '{\n  "a": {\n    "é": 1\n  },\n  "z": 0.30000000000000004\n}\n'
    )


def test_a_result_that_json_cannot_say_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_result(tmp_path, {"ndcg@10": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_result(tmp_path, {"a": 1})

    def full(_file, content):
        raise OSError("no space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="no space"):
        write_result(tmp_path, {"a": 2})
    assert [file.name for file in tmp_path.iterdir()] == [runs.RESULT]
    assert json.loads((tmp_path / runs.RESULT).read_text()) == {"a": 1}


def test_a_written_file_has_the_permissions_that_the_user_gives_files(tmp_path):
    (tmp_path / "plain").write_text("")
    write_result(tmp_path, {})
    plain, result = ((tmp_path / name).stat() for name in ("plain", runs.RESULT))
    assert stat.filemode(result.st_mode) == stat.filemode(plain.st_mode)


def test_results_are_read_by_the_folder_of_their_run(tmp_path):
    write_result(tmp_path / "dl19" / "bm25", {"ndcg@10": 0.5})
    write_result(tmp_path / "prp", {"ndcg@10": 0.7})
    (tmp_path / "dl19" / "notes.json").write_text("no result")
    assert read_results(tmp_path) == {"dl19/bm25": {"ndcg@10": 0.5}, "prp": {"ndcg@10": 0.7}}
    shutil.rmtree(tmp_path / "prp")
    assert list(read_results(tmp_path)) == ["dl19/bm25"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'{\n  "a": 1,\n', r"result.json:3: Expecting property name"),
        (b"", r"result.json:1: Expecting value"),
        (b"[1]\n", r"result.json:1: not a JSON object"),
        (b'{"a": "\xff"}', r"result.json: not UTF-8 text"),
    ],
)
def test_a_damaged_result_is_an_error_that_names_it(tmp_path, content, what):
    (tmp_path / "bm25").mkdir()
    (tmp_path / "bm25" / "result.json").write_bytes(content)
    with pytest.raises(InputError, match=what):
        read_results(tmp_path)


def test_a_folder_of_runs_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read_results(tmp_path / "nowhere")


def test_a_result_that_is_damaged_is_written_anew(tmp_path):
    result = {"cost": {"replayed": 0, "calls": 0, "seconds": 2.0}}
    assert runs.kept(tmp_path, result, ("seconds",)) == result
    (tmp_path / "result.json").write_text("{")
    assert runs.kept(tmp_path, result, ("seconds",)) == result
    runs.write_result(tmp_path, {"cost": {"replayed": 0, "calls": 0, "seconds": 1.0}})
    assert runs.kept(tmp_path, result, ("seconds",))["cost"]["seconds"] == 1.0
