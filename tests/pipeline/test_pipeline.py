"""From a recipe to a run folder: ceilings that are reached, bytes that repeat, runs that resume."""

import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fakes import ScriptedEngine
from shared import collection
from small import DOCS, QUERIES, beir

from rerank import datasets, pipeline
from rerank.errors import EngineError, InputError, UsageError
from rerank.evaluate import evaluate
from rerank.leaderboard.folders import Row
from rerank.methods import METHODS
from rerank.recipes import read_recipe
from rerank.records import Doc
from rerank.runs import ranked_run, read_scores
from rerank.wants import Reply

ROOT = Path(__file__).resolve().parents[2]
RERANKED = [name for name in METHODS if name != "first-stage"]
ROUGH = {"top-down", "tournament", "joint-blocks", "uncertain", "active"}
APPROXIMATE = {name for name, row in METHODS.items() if row.strategy in ROUGH}
EXACT = [name for name in RERANKED if name not in APPROXIMATE]
TIMES = {"seconds", "stages", "queries_per_second", "tokens_per_second"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, cache):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RERANK_CACHE", str(cache))
    return tmp_path


@pytest.fixture
def small(here):
    return beir(here / "small")


ORACLE = 'dataset = "small"\njudge = "oracle"\nmethod = "setwise-heapsort"\n'


def run(text, folder="run", progress=lambda *_: None):
    """Run a recipe given as text; gives what it says of itself."""
    path = Path(f"{folder}.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return pipeline.run(read_recipe(path), Path(folder), None, progress)


def ranked(folder, name="run.trec.gz"):
    """A run file's documents by query, best first; its form is checked on the way."""
    found = {}
    for line in gzip.decompress(Path(folder, name).read_bytes()).decode().splitlines():
        query, q0, doc, rank, score, _ = line.split(" ")
        found.setdefault(query, []).append(doc)
        assert (q0, int(rank)) == ("Q0", len(found[query]))
        assert int(score) >= 1
    return found


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(part) for key, part in value.items() if key not in TIMES}
    return value


# ---- what a run says


def test_result_json_is_what_is_returned_and_has_what_a_leaderboard_needs(small):
    result = run(f"{ORACLE}depth = 9\n")
    assert result == json.loads(Path("run/result.json").read_text())
    assert Row.model_validate(result).name == result["name"]
    assert (result["name"], result["suite"], result["model"]) == ("run", "small", None)
    assert (result["method"], result["judge"]) == ("setwise-heapsort", "oracle")
    assert (result["first"], result["depth"], result["limit"]) == ("bm25", 9, None)
    part = result["datasets"]["small"]
    assert part["mean"] == result["mean"] and part["first_stage"] == result["first_stage"]
    values = read_scores(Path("run"))["small"]["ndcg@10"]
    assert list(values) == ["q0", "q1", "q2", "q3"]
    mean = sum(values.values()) / QUERIES
    assert result["mean"]["ndcg@10"] == pytest.approx(mean, abs=1e-5)
    assert result["cost"]["queries"] == QUERIES and result["cost"]["seconds"] > 0
    assert result["versions"]["rerank-pipeline"] and result["versions"]["python"]


def test_two_runs_of_a_recipe_differ_in_their_times_only(small):
    noisy = f"{ORACLE}oracle = {{ noise = 1.0, bias = 0.5, seed = 7 }}\n"
    first, second = run(noisy, "a/run"), run(noisy, "b/run")
    assert without_times(first) == without_times(second)
    assert Path("a/run/run.trec.gz").read_bytes() == Path("b/run/run.trec.gz").read_bytes()
    other = run(noisy.replace("seed = 7", "seed = 8"), "c/run")
    assert other["recipe_sha256"] != first["recipe_sha256"] and ranked("c/run") != ranked("a/run")


def test_the_first_stage_is_its_own_order_and_costs_nothing(small):
    result = run('dataset = "small"\nmethod = "first-stage"\n')
    assert result["mean"] == result["first_stage"] and result["cost"]["calls"] == 0
    assert (result["model"], result["judge"], result["prompt"]) == (None, None, None)
    assert run(ORACLE, "other")["first_stage"] == result["mean"]


@pytest.mark.parametrize("method", RERANKED)
def test_a_ranking_is_a_permutation_of_its_candidates(small, method):
    run('dataset = "small"\nmethod = "first-stage"\ndepth = 11\n', "before")
    result = run(f"{ORACLE.replace('setwise-heapsort', method)}depth = 11\noracle.noise = 2\n")
    before, after = ranked("before"), ranked("run")
    assert {q: sorted(docs) for q, docs in after.items()} == {
        q: sorted(docs) for q, docs in before.items()
    }
    assert all(len(docs) == 11 for docs in after.values())
    assert sum(result["cost"]["answers"].values()) == result["cost"]["calls"]


def best_allowed(candidates, qrels, measures=("ndcg@10",)):
    """What an ideal order of the same candidates is worth."""
    ideal = {
        query: sorted(docs, key=lambda doc, q=query: -qrels[q].get(doc, 0))
        for query, docs in candidates.items()
    }
    run = ranked_run({q: [Doc(doc, "") for doc in docs] for q, docs in ideal.items()})
    return {name: round(mean, 6) for name, mean in evaluate(qrels, run, measures).mean.items()}


@pytest.mark.parametrize("method", RERANKED)
def test_with_the_oracle_every_exact_method_reaches_what_its_demo_candidates_allow(method):
    """The approximate ones come near it."""
    depth = 25 if "allpairs" in METHODS[method].strategy else 40
    plain = f'suite = "demo"\nmeasures = ["ndcg@10"]\ndepth = {depth}\nlimit = 20\n'
    run(f'{plain}method = "first-stage"\n', "before")
    candidates = ranked("before")
    qrels = {q: g for q, g in datasets.load("demo").qrels.items() if q in candidates}
    result = run(f'{plain}method = "{method}"\njudge = "oracle"\n')
    best = best_allowed(candidates, qrels)
    if method in APPROXIMATE:
        before, after = result["first_stage"]["ndcg@10"], result["mean"]["ndcg@10"]
        assert before + 0.7 * (best["ndcg@10"] - before) < after <= best["ndcg@10"]
    else:
        assert result["mean"] == best != result["first_stage"]


@pytest.mark.slow
@pytest.mark.parametrize("method", EXACT)
def test_with_the_oracle_every_method_reaches_what_its_scifact_candidates_allow(method, cache):
    folder = collection("scifact")
    depth = 20 if "allpairs" in METHODS[method].strategy else 100
    first = cache / f"scifact-{depth}"
    plain = f'dataset = "{folder}"\nmeasures = ["ndcg@10"]\ndepth = {depth}\n'
    if not first.exists():
        run(f'{plain}method = "first-stage"\n', str(first))
    given = f'{plain}first = "{first}/run.trec.gz"\n'
    result = run(f'{given}method = "{method}"\njudge = "oracle"\n')
    assert result["mean"] == best_allowed(ranked(first), datasets.load(str(folder)).qrels)
    assert result["mean"]["ndcg@10"] > result["first_stage"]["ndcg@10"] + 0.1
    if depth == 100:
        assert result["first_stage"]["ndcg@10"] == pytest.approx(0.6789, abs=0.001)


# ---- what a run ranks


def test_a_suite_of_several_datasets_has_a_run_file_for_each_and_the_mean_of_their_means(here):
    beir(here / "small"), beir(here / "large", queries=6, docs=20)
    Path("both.toml").write_text('datasets = ["small", "large"]\nmeasures = ["ndcg@10", "p@1"]\n')
    seen = []
    result = run(
        'suite = "./both.toml"\nmethod = "listwise"\njudge = "oracle"\noracle.noise = 1\n',
        progress=lambda *step: seen.append(step),
    )
    names = sorted(file.name for file in Path("run").iterdir())
    assert names == ["result.json", "run.large.trec.gz", "run.small.trec.gz", "scores.parquet"]
    assert list(read_scores(Path("run"))) == ["small", "large"]
    assert len(ranked("run", "run.large.trec.gz")) == 6
    for part in ("mean", "first_stage"):
        means = [result["datasets"][name][part]["precision@1"] for name in ("small", "large")]
        assert result[part]["precision@1"] == pytest.approx(sum(means) / 2, abs=2e-6)
    assert result["cost"]["queries"] == QUERIES + 6
    assert seen[:4] == [("small", n, 4) for n in range(1, 5)]
    assert seen[4:] == [("large", n, 6) for n in range(1, 7)]


def test_datasets_of_one_name_are_refused_before_anything_is_written(here):
    """The second one took the place of the first."""
    beir(here / "a" / "same"), beir(here / "b" / "same")
    Path("both.toml").write_text('datasets = ["a/same", "b/same"]\n')
    with pytest.raises(InputError, match="names that tell them apart: same, same"):
        run('suite = "./both.toml"\nmethod = "listwise"\njudge = "oracle"\n')
    assert not Path("run").exists()


def test_a_first_stage_of_ones_own_is_taken_as_it_ranks(small):
    lines = [f"q{q} Q0 d{d} 1 {d}.5 t\n" for q in (2, 0) for d in range(6)]
    Path("first.small.trec").write_text("".join(lines))
    plain = 'dataset = "small"\nmethod = "first-stage"\ndepth = 4\n'
    result = run(f'{plain}first = "first.{{dataset}}.trec"\n')
    assert ranked("run") == {"q0": ["d5", "d4", "d3", "d2"], "q2": ["d5", "d4", "d3", "d2"]}
    assert result["datasets"]["small"]["queries_without_candidates"] == ["q1", "q3"]
    assert read_scores(Path("run"))["small"]["ndcg@10"]["q1"] == 0.0


LISTED = ", ".join(f'{{"docid": "x{i}", "score": {9 - i}, "doc": "text {i}"}}' for i in range(5))
CANDIDATES = (
    f'{{"query": {{"qid": "a", "text": "one"}}, "candidates": [{LISTED}]}}\n'
    '{"query": {"qid": "b", "text": "two"}, "candidates": []}\n'
)


def test_candidates_without_judgments_are_ranked_and_not_scored(here):
    Path("mine.jsonl").write_text(CANDIDATES)
    result = run('first = "mine.jsonl"\nmethod = "first-stage"\ndepth = 3\n')
    assert ranked("run") == {"a": ["x0", "x1", "x2"]}
    assert (result["mean"], result["first_stage"], result["suite"]) == ({}, {}, "mine.jsonl")
    assert "mean" not in result["datasets"]["mine"] and result["scores"] is None
    assert not Path("run/scores.parquet").exists()


def test_candidates_with_a_dataset_are_scored_and_strangers_left_out(small):
    Path("mine.jsonl").write_text(CANDIDATES.replace('"a"', '"q1"').replace('"b"', '"q99"'))
    result = run(f'{ORACLE}first = "mine.jsonl"\n')
    assert list(ranked("run")) == ["q1"] and result["cost"]["queries"] == 1
    Path("mine.jsonl").write_text(CANDIDATES)
    with pytest.raises(InputError, match=r"mine\.jsonl: none of its queries is judged in small"):
        run(f'{ORACLE}first = "mine.jsonl"\n')


def test_a_limit_takes_the_first_queries_and_scores_them_alone(small):
    whole, first = run(ORACLE), run(f"{ORACLE}limit = 2\n", "first")
    values = read_scores(Path("run"))["small"]["recall@100"]
    assert list(ranked("first")) == ["q0", "q1"]
    assert read_scores(Path("first"))["small"]["recall@100"] == {
        query: values[query] for query in ("q0", "q1")
    }
    assert (whole["limit"], first["limit"]) == (None, 2)


def test_a_folder_with_a_space_in_its_name_is_a_tag_without_one(small):
    """The run was ranked to its end and then could not be written."""
    assert run(ORACLE, "my runs/the best")["name"] == "the best"
    line = (
        gzip.decompress(Path("my runs/the best/run.trec.gz").read_bytes()).decode().split("\n")[0]
    )
    assert line.endswith(" the-best")


def test_a_measure_that_does_not_exist_is_found_before_a_model_loads(small, monkeypatch):
    """It was found when all was ranked."""
    monkeypatch.setattr(
        "rerank.pipeline.running.open_engine", lambda *_: pytest.fail("a model was opened")
    )
    with pytest.raises(UsageError, match="no measure called 'ndgc'"):
        run('dataset = "small"\nmethod = "scorer"\nmodel = "m"\nmeasures = ["ndgc"]\n')


# ---- models


def scripted(monkeypatch, reply, **options):
    engines = []

    def open_engine(name, model, given):
        engines.append((name, model, given, ScriptedEngine(reply, **options)))
        return engines[-1][-1]

    monkeypatch.setattr("rerank.pipeline.running.open_engine", open_engine)
    return engines


SCORER = 'dataset = "small"\nmethod = "scorer"\nmodel = "m"\n'


def by_number(request):
    """Scores a document by its number."""
    return Reply(scores=(float(request.want.doc.split("document")[1].split()[0]),))


def test_a_model_is_asked_once_for_each_question_and_its_answers_rank(small, monkeypatch):
    engines = scripted(monkeypatch, by_number, at_once=3, seed=1)
    result = run(SCORER)
    [(name, model, given, engine)] = engines
    assert (name, model, given) == ("scorer", "m", {})
    assert len(engine.requests) == QUERIES * DOCS == result["cost"]["calls"]
    assert all(
        docs == [f"d{d}" for d in range(DOCS - 1, -1, -1)] for docs in ranked("run").values()
    )
    assert result["model"] == "m" and result["judge"] == "model"
    before = Path("run/result.json").read_bytes()
    assert run(SCORER) == result and len(engines) == 1  # no model is opened for a finished run
    assert Path("run/result.json").read_bytes() == before


def test_a_server_is_given_the_key_and_the_recipes_options(small, monkeypatch):
    engines = scripted(monkeypatch, lambda request: Reply(text="[1]"))
    text = SCORER.replace("scorer", "listwise")
    recipe = Path("run.toml")
    recipe.write_text(f'{text}base_url = "http://x/v1"\nengine_options.timeout = 3\n')
    pipeline.run(read_recipe(recipe), Path("run"), "secret")
    [(name, _, given, _)] = engines
    assert (name, given) == (
        "http", {"base_url": "http://x/v1", "api_key": "secret", "timeout": 3},
    )  # fmt: skip
    assert all(b"secret" not in file.read_bytes() for file in Path("run").iterdir())


def test_sampling_reaches_the_model_with_its_seed(small, monkeypatch):
    engines = scripted(monkeypatch, lambda request: Reply(text="[1]"))
    sampling = "sampling = { temperature = 0.7, seed = 5, max_tokens = 33 }\n"
    run(SCORER.replace("scorer", "listwise") + sampling)
    wants = {request.want for request in engines[0][-1].requests}
    assert {(w.temperature, w.seed, w.max_tokens) for w in wants} == {(0.7, 5, 33)}


def test_the_engine_is_let_go_when_the_run_fails(small, monkeypatch):
    closed = []
    engines = scripted(monkeypatch, lambda request: Reply(error="gone"))
    monkeypatch.setattr(ScriptedEngine, "close", lambda self: closed.append(self))
    with pytest.raises(EngineError, match=r"query 'q\d': gone"):
        run(SCORER)
    assert closed == [engines[0][-1]]
    assert [file.name for file in Path("run").iterdir()] == ["journal.sqlite"]


def test_a_kept_failure_is_asked_again_by_the_same_command_and_nothing_else_is(small, monkeypatch):
    def broken(request):
        return Reply(error="HTTP 503") if "document3 " in request.want.doc else by_number(request)

    scripted(monkeypatch, broken)
    result = run(f'{SCORER}on_error = "keep"\n')
    assert len(result["cost"]["failed_queries"]) == QUERIES
    run('dataset = "small"\nmethod = "first-stage"\n', "before")
    assert ranked("run") == ranked("before")
    engines = scripted(monkeypatch, by_number)
    result = run(f'{SCORER}on_error = "keep"\n')
    assert result["cost"]["failed_queries"] == []
    asked = [request.want.doc for request in engines[0][-1].requests]
    assert asked and all("document3 " in doc for doc in asked)
    assert ranked("run") != ranked("before")


# ---- killed, and started again


class Listing(ThreadingHTTPServer):
    """An OpenAI-compatible server that orders lists by a hash and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, seconds):
        super().__init__(("127.0.0.1", 0), Answering)
        self.seconds, self.asked, self.lock = seconds, [], threading.Lock()

    def handle_error(self, request, client_address):
        """A client that was killed."""


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        shown = body["messages"][-1]["content"]
        with self.server.lock:
            self.server.asked.append(shown)
        time.sleep(self.server.seconds)
        places = [f"[{i + 1}]" for i in range(shown.count("\n["))]
        random.Random(hashlib.sha256(shown.encode()).hexdigest()).shuffle(places)
        message = {"role": "assistant", "content": " > ".join(places)}
        usage = {"prompt_tokens": len(shown), "completion_tokens": len(places)}
        self.answer({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

    def do_GET(self):
        self.answer({"data": [{"id": "tiny"}]})

    def answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def replayed(result):
    """Takes out, and gives, how many calls a journal answered: in all, and for the dataset."""
    return [part["cost"].pop("replayed") for part in (result, result["datasets"]["small"])]


@contextmanager
def listing(seconds=0.0):
    server = Listing(seconds)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def questions(server):
    """What was asked for the ranking's sake: all but the check of a model at the start."""
    return [shown for shown in server.asked if "what is checked here" not in shown]


def start(folder, server):
    """The command that ranks with this server, in a process of its own."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{server.server_port}/v1"
    Path(folder, "recipe.toml").write_text(
        'dataset = "small"\nmethod = "listwise"\nmodel = "tiny"\n'
        f'base_url = "{url}"\nengine_options = {{ concurrency = 4 }}\n'
        "options = { window = 6, stride = 3, passes = 4, k = 10 }\n"
    )
    return subprocess.Popen(
        [sys.executable, "-m", "rerank.cli", "run", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def remembered(folder):
    """What the journal of a killed run holds, read from a copy: the original stays as it is."""
    copy = Path("copy")
    shutil.copytree(folder, copy)
    try:
        rows = sqlite3.connect(copy / "journal.sqlite").execute("SELECT request FROM reply")
        return {json.loads(request)["messages"][-1][1] for (request,) in rows}
    finally:
        shutil.rmtree(copy)


def killed(folder, server, after):
    """Start the command, and kill it once the server has been asked `after` questions in all.

    Gives what the journal holds by then, and how much the server had been asked.
    """
    process = start(folder, server)
    while len(questions(server)) < after:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not Path(folder, "run.trec.gz").exists()
    time.sleep(0.1)  # what was still under way comes in
    return remembered(folder), len(questions(server))


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes_and_asks_nothing_twice(here):
    beir(here / "small", queries=8, docs=30)
    with listing() as server:
        process = start("whole/it", server)
        assert process.wait() == 0
        whole = questions(server)
    assert len(set(whole)) == len(whole) > 100
    moments = (1, len(whole) // 5, len(whole) // 2, 9 * len(whole) // 10)
    with listing(0.05) as server:  # so slow that what it has answered is on disk at once
        kills = [killed("torn/it", server, after) for after in moments]
        process = start("torn/it", server)
        assert process.wait() == 0
        asked = questions(server)
    for known, before in kills:
        assert known <= {*asked[:before]} and not known & {*asked[before:]}
    assert [len(known) for known, _ in kills] == sorted(len(known) for known, _ in kills)
    assert 0 < len(kills[1][0]) < len(kills[-1][0])
    assert {*asked} == {*whole} and len(asked) - len(whole) <= 4 * len(moments)  # four at once
    assert Path("torn/it/run.trec.gz").read_bytes() == Path("whole/it/run.trec.gz").read_bytes()
    torn, sound = (json.loads(Path(f, "it/result.json").read_text()) for f in ("torn", "whole"))
    for found in (torn, sound):  # the servers' ports differ, and what the journal gave
        del found["recipe_sha256"], found["recipe"]["base_url"]
    assert replayed(torn) == [len(kills[-1][0])] * 2 and replayed(sound) == [0, 0]
    assert without_times(torn) == without_times(sound)
