"""A model is asked what its run needs, once, and is let go when the run fails."""

from pathlib import Path

import pytest
from fakes import ScriptedEngine
from running import ranked, run
from small import DOCS, QUERIES

from rerank import pipeline
from rerank.errors import EngineError
from rerank.recipes import read_recipe
from rerank.wants import Reply

pytestmark = pytest.mark.usefixtures("here")


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
