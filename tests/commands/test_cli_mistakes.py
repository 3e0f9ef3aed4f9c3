"""A mistake is one line that names the place, with its exit code, and nothing is lost."""

from pathlib import Path

import pytest
from small import beir
from typed import ORACLE, SCORER, by_length, engines, recipe

pytestmark = pytest.mark.usefixtures("here")


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
        (ORACLE.replace("setwise-heapsort", "setwise"), 4,
         "no method 'setwise'; did you mean 'setwise-heapsort' or "),
        (ORACLE.replace("setwise-heapsort", "listwize"), 4, "key 'method': no method 'listwize';"
         " did you mean 'listwise'? `rerank methods` lists them all\n"),
        (ORACLE.replace("setwise-heapsort", "zzz"), 4,
         "key 'method': no method 'zzz'; `rerank methods` lists them all\n"),
        (f'{ORACLE}first = "bm52"', 4, "mine.toml: key 'first': bm52: no such file, and no first"
         " stage of that name: bm25, lucene, dense, hybrid, feedback, cur; did you mean 'bm25'?\n"),
        (f'{ORACLE}first = "zzz"', 4, "lucene, dense, hybrid, feedback, cur\n"),
        (f'{ORACLE}first = "hybrid"\nfusion.of = ["bm25", "dens"]', 4,
         "mine.toml: key 'fusion.of': dens: no such file, and no first stage of that name: bm25"),
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
        ("first=bm52", 2, "--set 'first=bm52': mine.toml: key 'first': bm52: no such file, and no"),
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
