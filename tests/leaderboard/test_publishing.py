"""From run folders, or anybody's run files, to a table and a page that can be checked."""

import gzip
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from fakes import ScriptedEngine
from shared import collection
from small import beir

from rerank import cli, pipeline, publishing, views
from rerank.errors import InputError, UsageError
from rerank.recipes import read_recipe
from rerank.wants import Reply, Text

ORACLE = 'dataset = "small"\njudge = "oracle"\nmethod = "setwise-heapsort"\n'
FIRST = 'dataset = "small"\nmethod = "first-stage"\n'
LISTWISE = 'dataset = "small"\nmethod = "listwise"\nmodel = "m"\ndepth = 5\n'
FILE = Path("eval/LEADERBOARD.md")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    return beir(tmp_path / "small")


def made(name, text):
    path = Path("runs", name, "recipe.toml")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    pipeline.run(read_recipe(path), path.parent)


@pytest.fixture
def two():
    made("s/first", FIRST)
    made("s/oracle", ORACLE)


def content(published):
    found = re.search(r'type="application/json">(.*?)</script>', published.page, re.S)
    return json.loads(found[1])


def test_run_folders_are_a_table_whose_rows_lead_to_them(two):
    found = publishing.from_folders(Path("runs"), FILE)
    assert "## small\n" in found.table and found.notes == []
    assert "[oracle](../runs/s/oracle), the judgments answer |  1.0000 |" in found.table
    assert found == publishing.from_folders(Path("runs"), FILE)
    assert "(runs/s/first)" in publishing.from_folders(Path("runs"), Path("T.md")).table


def test_a_suite_that_is_a_path_has_a_short_title_unless_two_would_share_it(two):
    beir(Path("other/small"))
    shutil.copytree("small", "there/large")
    made("t/large", FIRST.replace("small", "there/large"))
    text = publishing.from_folders(Path("runs"), FILE).table
    assert "## large\n" in text and "## small\n" in text
    made("t/other", FIRST.replace("small", "other/small"))
    text = publishing.from_folders(Path("runs"), FILE).table
    assert "## other/small\n" in text and "## small\n" in text


def test_a_view_shows_the_first_stage_the_runs_and_the_judgments(two):
    [board] = content(publishing.from_folders(Path("runs"), FILE))
    [view] = board["views"]
    assert [first["name"] for first in view["firsts"]] == ["bm25 (first stage)"]
    assert view["queries"][0]["text"] == "term0 common" and view["lacks"] == []
    assert sum(count for _, count in view["queries"][0]["judged"]) == 12
    names = [board["runs"][one["run"]]["name"] for one in view["lists"]]
    assert names == ["oracle", "first"] or names == ["first", "oracle"]
    assert any("document3" in text for _, text in view["docs"])


def test_without_its_data_a_leaderboard_has_the_same_table_and_says_what_is_gone(two):
    before = publishing.from_folders(Path("runs"), FILE).table
    shutil.rmtree("small")
    after = publishing.from_folders(Path("runs"), FILE)
    assert after.table == before
    [view] = content(after)[0]["views"]
    assert view["lacks"][0].startswith("Texts and first stage are not here: no collection")


def test_replies_are_read_from_the_journal_by_query_with_what_became_of_them(monkeypatch):
    replies = iter(["[2] > [1] > [3] > [4] > [5]", "nonsense", "[1] > [1]", "[3]"])
    engine = ScriptedEngine(lambda request: Reply(text=next(replies)))
    monkeypatch.setattr("rerank.pipeline.running.open_engine", lambda *_: engine)
    made("s/first", FIRST)
    made("s/model", LISTWISE)
    [board] = content(publishing.from_folders(Path("runs"), FILE))
    [view] = board["views"]
    [heard] = view["replies"].values()
    said = {text: (len(docs), status) for exchanges in heard for docs, text, _, status in exchanges}
    assert said["[2] > [1] > [3] > [4] > [5]"] == (5, "ok")
    assert said["nonsense"] == (5, "unreadable") and said["[3]"][1] == "repaired"
    before = {path: path.read_bytes() for path in Path("runs/s/model").iterdir()}
    assert content(publishing.from_folders(Path("runs"), FILE)) == [board]
    assert {path: path.read_bytes() for path in Path("runs/s/model").iterdir()} == before
    path = Path("runs/s/model/result.json")
    path.write_text(path.read_text().replace('"engine": "scripted"', '"engine": "another"'))
    [lack] = content(publishing.from_folders(Path("runs"), FILE))[0]["views"][0]["lacks"]
    assert lack == "The journal of model has no reply that could be found again."
    Path("runs/s/model/journal.sqlite").unlink()
    assert content(publishing.from_folders(Path("runs"), FILE))[0]["views"][0]["replies"] == {}


def test_a_thought_and_the_scores_that_it_was_written_for_are_one_reply(monkeypatch):
    def reply(request):
        thinks = isinstance(request.want, Text)
        return Reply(text="let me see") if thinks else Reply(scores=(-0.1, -2.0))

    monkeypatch.setattr("rerank.pipeline.running.open_engine", lambda *_: ScriptedEngine(reply))
    made("s/model", LISTWISE.replace("listwise", "rank1"))
    [view] = content(publishing.from_folders(Path("runs"), FILE))[0]["views"]
    [heard] = view["replies"].values()
    assert heard[0][0][1:] == ["let me see", [-0.1, -2.0], "ok"]


def test_a_limited_run_and_one_that_nobody_judged_are_named(two):
    made("s/short", f"{ORACLE}limit = 2\n")
    listed = '{"query": {"qid": "a", "text": "w"}, "candidates": [{"docid": "x", "score": 1, '
    Path("mine.jsonl").write_text(listed + '"doc": "t"}]}')
    made("s/mine", 'first = "mine.jsonl"\nmethod = "first-stage"\n')
    found = publishing.from_folders(Path("runs"), FILE)
    assert (
        "Left out: [short](../runs/s/short), the judgments answer, first 2 queries" in found.table
    )
    assert found.notes == ["s/mine is not on the leaderboard: nobody judged it"]


def test_a_run_without_its_scores_is_told_how_to_get_them(two):
    Path("runs/s/oracle/scores.parquet").unlink()
    with pytest.raises(InputError, match=r"oracle/scores\.parquet: not there; repeat the run"):
        publishing.from_folders(Path("runs"), FILE)


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", None), ("suite", 3), ("cost", {"calls": 1}), ("datasets", []), ("measures", None)],
)
def test_a_result_of_another_shape_is_named_by_its_key(two, key, value):
    path = Path("runs/s/oracle/result.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(InputError, match=rf"oracle/result\.json: key '{key}"):
        publishing.from_folders(Path("runs"), FILE)


def test_without_texts_no_data_are_loaded(two, monkeypatch):
    monkeypatch.setattr(views, "load_tasks", lambda *_: pytest.fail("data were loaded"))
    found = publishing.from_folders(Path("runs"), FILE, texts=False)
    [view] = content(found)[0]["views"]
    assert view["lacks"] == ["Texts were left out."] and view["firsts"] == []
    assert view["lists"][0]["tops"][0] and view["docs"][0][1] == ""


# ---- the command


@pytest.fixture
def rerank(capsys, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rerank", "leaderboard", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as exit:
            return exit.code or 0, capsys.readouterr().err
        return 0, capsys.readouterr().err

    return run


def test_the_files_are_written_once_and_checking_never_writes(two, rerank):
    code, err = rerank("--check")
    assert code == 4 and "eval/LEADERBOARD.md: is not what the runs say" in err
    assert not Path("eval").exists()
    code, err = rerank()
    assert code == 0 and "wrote eval/LEADERBOARD.md" in err and "wrote eval/leaderboard.html" in err
    when = FILE.stat().st_mtime_ns
    assert rerank()[0] == rerank("--check")[0] == 0 and FILE.stat().st_mtime_ns == when
    for path in (FILE, Path("eval/leaderboard.html")):
        kept = path.read_bytes()
        path.write_bytes(kept + b"\xff")
        code, err = rerank("--check")
        assert code == 4 and f"{path}: is not what the runs say" in err
        path.write_bytes(kept)
    Path("eval/leaderboard.html").unlink()
    assert rerank("--check")[0] == 0, "a page that was never asked for is not stale"
    assert rerank("--check", "--page", "eval/leaderboard.html")[0] == 4


def test_run_files_need_judgments_and_their_options_need_run_files(two, rerank):
    code, err = rerank("-m", "map")
    assert code == 2 and "give --qrels, too" in err
    code, err = rerank("--qrels", "small/qrels/test.tsv", "--runs", "small")
    assert code == 4 and "small: no run files in it: .trec, .run, .res or .txt, .gz too\n" in err
    code, err = rerank("--qrels", "small/qrels/test.tsv", "--runs", "runs")
    there = "it holds run folders: leave out --qrels and --data, or name one, as --runs"
    assert code == 4 and err.endswith(f".txt, .gz too; {there} runs/s/first\n")
    assert rerank("--qrels", "small/qrels/test.tsv", "--runs", "runs/s/first")[0] == 0
    with pytest.raises(UsageError, match="give --qrels, or --data with a collection"):
        publishing.from_files(Path("runs"), None, "", ["map"])


def run_files(folder):
    folder.mkdir()
    for name, order in (("a.trec", range(12)), ("b.run.gz", range(11, -1, -1)), ("c.txt", [0, 3])):
        text = "".join(
            f"q{q} Q0 d{d} {r} {99 - r} t\n" for q in range(4) for r, d in enumerate(order)
        ).encode()
        (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (folder / "INDEX.tsv").write_text("not a run")
    return folder


def test_run_files_and_judgments_are_a_leaderboard_too(rerank):
    run_files(Path("theirs"))
    given = ["--runs", "theirs", "--qrels", "small/qrels/test.tsv", "-m", "ndcg@10", "-m", "map"]
    assert rerank(*given, "--title", "Theirs")[0] == 0
    text = Path("LEADERBOARD.md").read_text()
    assert "## Theirs" in text and "| run | ndcg@10 |" in text
    assert "Texts are not here: no --data was given." in Path("leaderboard.html").read_text()
    assert rerank(*given, "--title", "Theirs", "--check")[0] == 0
    assert rerank("--runs", "theirs", "--data", "small", "--baseline", "a")[0] == 0
    assert "Differences from a" in Path("LEADERBOARD.md").read_text()
    assert "term0 common" in Path("leaderboard.html").read_text()


def test_two_run_files_of_one_stem_keep_their_whole_names():
    folder = run_files(Path("theirs"))
    shutil.copy(folder / "a.trec", folder / "a.run")
    assert list(publishing.run_files(folder)) == ["a.run", "a.trec", "b", "c"]


# ---- what must show


@pytest.mark.slow
def test_the_25_runs_of_dl19_are_a_leaderboard_equal_to_their_index_and_to_itself():
    folder = collection("dl19")
    measures = ["ndcg@10", "map@100-l2", "recall@100-l2"]
    given = (folder / "runs", folder / "qrels" / "test.tsv", str(folder), measures)
    found, again = (publishing.from_files(*given, baseline="bm25") for _ in range(2))
    assert found == again and len(found.page.encode()) < 3_000_000
    [board] = content(found)
    assert board["kemeny"]["proven"] and len(board["runs"]) == 25
    index = [line.split("\t") for line in (folder / "runs/INDEX.tsv").read_text().splitlines()[1:]]
    said = {row[0]: [float(value) for value in row[4:7]] for row in index}
    for run in board["runs"]:
        assert run["means"] == pytest.approx(said[run["name"]], abs=0.00011), run["name"]
        row = next(
            line for line in found.table.splitlines() if line.startswith(f"| {run['name']} ")
        )
        assert all(f" {mean:.4f} |" in row for mean in run["means"])
    groups = {run["name"]: set(run["group"]) for run in board["runs"]}
    repeats = [groups[f"bm25.gpt-3.5-turbo.rep{i}"] for i in range(1, 6)]
    assert set.intersection(*repeats)
    assert not groups["pt_bm25.gpt-4o"] & groups["bm25"]
    assert board["datasets"][0]["detectable"] == pytest.approx(0.088, rel=0.1)
    assert len(board["views"][0]["queries"]) == 43


def test_a_folder_of_run_files_says_what_they_need(tmp_path):
    (tmp_path / "mine.trec.gz").touch()
    with pytest.raises(InputError, match=r"no run folder in it; run files need --qrels"):
        publishing.from_folders(tmp_path, tmp_path / "LEADERBOARD.md")
