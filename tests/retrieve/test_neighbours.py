"""Neighbours in a recipe: BM25's graph of a corpus, walked by the adaptive strategies."""

import gzip
import json
from pathlib import Path

import pytest
from fakes import ScriptedEngine
from shared import collection
from small import DOCS, QUERIES, beir

from rerank import cost, pipeline, printing
from rerank.datasets import Candidates, read_run, write_candidates
from rerank.errors import InputError, UsageError
from rerank.methods import METHODS
from rerank.pipeline.verify import verify
from rerank.recipes import read_recipe
from rerank.records import Doc, Query
from rerank.retrieve.bm25 import BM25
from rerank.retrieve.neighbours import Neighbours
from rerank.wants import Reply

ASKED = Query("q", "sea")
NEAR = 'neighbours = { from = "bm25", k = 30 }\n'
CORPUS = {
    name: Doc(name, text)
    for name, text in {
        "sea": "salt waves and sea water",
        "salt": "salt and sea water",
        "waves": "waves of sound",
        "hill": "dry hill",
        "twin": "salt and sea water",
        "empty": "",
    }.items()
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    return tmp_path


def graph(k, **allowed):
    return Neighbours(BM25.of(CORPUS.values()), CORPUS, k, **allowed)


def run(text, folder="run"):
    path = Path(folder, "recipe.toml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return pipeline.run(read_recipe(path), path.parent)


def small(text, docs=40):
    if not Path("small").exists():
        beir(Path("small"), docs=docs)
    return f'dataset = "small"\ndepth = 8\n{text}\n'


# ---- the graph


def test_neighbours_are_nearest_first_and_never_the_document_itself():
    near = graph(16).beside(ASKED, [])
    assert [doc.id for doc in near(CORPUS["sea"])] == ["salt", "twin", "waves"]
    assert [doc.id for doc in near(CORPUS["salt"])] == ["twin", "sea"]
    assert near(CORPUS["hill"]) == near(CORPUS["empty"]) == []
    assert [doc.id for doc in graph(1).beside(ASKED, [])(CORPUS["sea"])] == ["salt"]


def test_a_neighbour_that_is_a_candidate_is_that_candidate_whatever_its_text():
    mine = Doc("salt", "another text")
    near = graph(16).beside(ASKED, [mine, CORPUS["hill"]])
    assert near(CORPUS["sea"])[0] is mine
    assert [doc.id for doc in near(mine)] == ["twin", "sea"]  # of its text in the corpus


def test_a_document_that_the_corpus_does_not_hold_has_the_neighbours_of_its_own_text():
    assert [doc.id for doc in graph(2).beside(ASKED, [])(Doc("new", "dry salt"))] == [
        "hill",
        "salt",
    ]


def test_what_is_no_candidate_of_a_query_is_no_neighbour_either():
    near = graph(16, allowed=lambda query, ids: [one for one in ids if one != "twin"])
    assert [doc.id for doc in near.beside(ASKED, [])(CORPUS["sea"])] == ["salt", "waves"]


# ---- in a run


@pytest.mark.parametrize("method", ["gar", "slidegar"])
def test_a_run_holds_its_candidates_and_every_neighbour_that_was_judged(method):
    run(small('method = "first-stage"'), "first")
    first = read_run(Path("first/run.trec.gz"))
    sizes = "batch = 4" if method == "gar" else "window = 6, step = 3"
    options = f"options = {{ depth = 20, {sizes} }}"
    text = small(f'method = "{method}"\njudge = "oracle"\n{options}\n{NEAR}')
    [expected] = pipeline.plan(read_recipe(_written(text))).values()
    result = run(text)
    found, spent = read_run(Path("run/run.trec.gz")), result["cost"]
    assert all(first[query].keys() < found[query].keys() for query in first)
    assert spent["neighbours"] == sum(len(found[q]) - len(first[q]) for q in first) > 0
    calls, rounds = (20, 5) if method == "gar" else (6, 6)
    assert (spent["calls"], spent["rounds"]) == (QUERIES * calls, rounds)
    assert (expected.calls, expected.rounds) == (QUERIES * calls, rounds)
    assert result["recipe"]["neighbours"] == {"k": 30}
    assert verify(Path("run")) == []


def _written(text):
    path = Path("planned.toml")
    path.write_text(text)
    return path


def test_neighbours_lead_to_relevant_documents_that_bm25_did_not_find():
    plain = small('method = "slidegar"\njudge = "oracle"\noptions = { window = 4, step = 2 }')
    alone, led = run(plain, "alone"), run(plain + NEAR, "led")
    assert led["cost"]["calls"] == alone["cost"]["calls"]
    assert led["first_stage"] == alone["first_stage"]
    assert alone["mean"]["recall@100"] == alone["first_stage"]["recall@100"]
    assert led["mean"]["ndcg@10"] > alone["mean"]["ndcg@10"]
    assert led["mean"]["recall@100"] > alone["mean"]["recall@100"]


def test_a_journal_answers_an_adaptive_run_again_and_the_run_is_the_same(monkeypatch):
    engine = ScriptedEngine(lambda request: Reply(text="[3] > [1] > [2]"), at_once=3, seed=0)
    monkeypatch.setattr("rerank.pipeline.running.open_engine", lambda *_: engine)
    options = "options = { window = 4, step = 2 }"
    text = small(f'method = "slidegar"\nmodel = "m"\n{options}\n{NEAR}')
    first = run(text)
    written = Path("run/run.trec.gz").read_bytes()
    asked = len(engine.requests)
    assert asked == first["cost"]["calls"] and first["cost"]["replayed"] == 0
    Path("run/run.trec.gz").unlink()
    run(text)
    assert len(engine.requests) == asked
    assert Path("run/run.trec.gz").read_bytes() == written


def test_candidates_of_a_file_are_led_on_in_the_corpus_of_the_dataset():
    """Their texts are the file's own; a document is still one document."""
    text = small('method = "slidegar"\njudge = "oracle"\noptions = { window = 4, step = 2 }')
    queries = {f"q{q}": Query(f"q{q}", f"term{q} common") for q in range(QUERIES)}
    docs = {query: [Doc(f"d{d}", f"cut short, {d}") for d in range(8)] for query in queries}
    scores = {query: {doc.id: -n for n, doc in enumerate(found)} for query, found in docs.items()}
    write_candidates(Path("mine.jsonl"), Candidates(queries, docs, scores))
    result = run(f'{text}first = "mine.jsonl"\n{NEAR}')
    assert result["cost"]["neighbours"] > 0
    lines = gzip.decompress(Path("run/run.trec.gz").read_bytes()).decode().splitlines()
    pairs = [(line.split()[0], line.split()[2]) for line in lines]
    assert len(pairs) == len(set(pairs)) == 8 * QUERIES + result["cost"]["neighbours"]


def test_a_corpus_smaller_than_the_depth_is_judged_whole_and_no_more_is_asked():
    options = "options = { depth = 100, batch = 4 }"
    result = run(small(f'method = "gar"\njudge = "oracle"\n{options}\n{NEAR}', docs=DOCS))
    assert result["cost"]["calls"] == QUERIES * DOCS


# ---- what is wrong


def wrong(text, error, match):
    with pytest.raises(error, match=match):
        run(text)


def test_neighbours_without_a_corpus_are_refused():
    Path("mine.jsonl").write_text(
        json.dumps({"query": {"qid": "1", "text": "q"}, "candidates": []}) + "\n"
    )
    text = 'first = "mine.jsonl"\nmethod = "slidegar"\njudge = "oracle"\n'
    wrong(text + NEAR, InputError, "they are found in a corpus; give a dataset or a suite")


def test_neighbours_of_a_method_that_takes_none_are_refused():
    text = small('method = "listwise"\njudge = "oracle"')
    match = "strategy sliding-window takes no neighbours; adaptive-rating, adaptive-window do"
    wrong(text + NEAR, UsageError, match)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("neighbours.k = 0", "1 or more"),
        ('neighbours.from = "dense"', "bm25"),
        ("neighbours.source = 'bm25'", "source"),
        ("options.neighbours = 3", "'neighbours' is no option but a key of the recipe's own"),
    ],
)
def test_neighbours_that_cannot_be_are_refused(line, match):
    wrong(small(f'method = "gar"\njudge = "oracle"\n{line}'), InputError, match)


def test_an_adaptive_method_without_neighbours_says_that_it_is_a_plain_one():
    path = _written(small('method = "gar"\njudge = "oracle"'))
    [line] = cost.warnings(read_recipe(path).row, 100, 0)
    assert "adaptive-rating looks at the candidates alone" in line
    assert cost.warnings(read_recipe(path).row, 100, 16) == []


# ---- what the papers show


@pytest.mark.slow
def test_on_dl19_slidegar_finds_more_than_windows_do_with_as_many_calls():
    plain = f'dataset = "{collection("dl19")}"\njudge = "oracle"\n'
    plain += 'measures = ["ndcg@10", "recall@100"]\n'
    windows = run(f'{plain}method = "listwise"\n', "windows")
    led = run(f'{plain}method = "slidegar"\nneighbours = {{}}\n', "led")
    assert led["cost"]["calls"] == windows["cost"]["calls"]
    assert led["mean"]["ndcg@10"] > windows["mean"]["ndcg@10"] + 0.03
    assert led["mean"]["recall@100"] > windows["mean"]["recall@100"] + 0.05


def test_the_list_of_methods_says_how_neighbours_are_given(capsys):
    rows = {name: METHODS[name] for name in ("slidegar", "listwise")}
    printing.methods(rows, as_json=False)
    slidegar, listwise = capsys.readouterr().out.split("listwise\n", 1)
    assert 'recipe: neighbours = { from = "bm25", k = 16 }' in slidegar
    assert "neighbours" not in listwise and "neighbours = None" not in slidegar
