"""What a recipe will take: a sample is timed, and the rest is reckoned from what it will cost."""

import json
from pathlib import Path
from time import sleep

import pytest
from fakes import ScriptedEngine
from small import beir

from rerank.commands.bench import duration
from rerank.pipeline.forecast import forecast
from rerank.recipes import read_recipe
from rerank.wants import Reply


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    return beir(tmp_path / "small", queries=20, docs=10)


def recipe(text):
    Path("mine.toml").write_text(text)
    return read_recipe(Path("mine.toml"))


SCORER = 'dataset = "small"\nmethod = "scorer"\nmodel = "any"\n'


def slow(monkeypatch, seconds):
    """A model that takes so long for each answer; gives what it is asked."""
    asked = []

    def reply(request):
        asked.append(request)
        sleep(seconds)
        return Reply(scores=(1.0,))

    monkeypatch.setattr("rerank.pipeline.running.open_engine", lambda *_: ScriptedEngine(reply))
    return asked


def test_all_is_reckoned_from_a_sample_after_one_query_that_does_not_count(small, monkeypatch):
    asked = slow(monkeypatch, 0.002)
    found = forecast(recipe(SCORER), 5)
    assert len(asked) == (1 + 5) * 10
    assert found["sample"]["queries"] == 5 and found["sample"]["calls"] == 50
    assert found["datasets"]["small"]["calls"] == 200
    reckoned = 4 * found["sample"]["seconds"]  # both are printed rounded
    assert found["datasets"]["small"]["seconds"] == pytest.approx(reckoned, abs=0.1)
    assert (
        found["seconds"] >= found["loading_seconds"] + found["datasets"]["small"]["seconds"] - 0.1
    )


def test_more_queries_than_there_are_is_all_of_them_and_one_is_enough(small, monkeypatch):
    slow(monkeypatch, 0.0)
    assert forecast(recipe(SCORER), 500)["sample"]["queries"] == 19
    assert forecast(recipe(f"{SCORER}limit = 1\n"), 5)["sample"]["queries"] == 1


def test_the_sample_is_spread_over_all_queries(small, monkeypatch):
    asked = slow(monkeypatch, 0.0)
    forecast(recipe(SCORER), 4)
    queries = {request.want.query.split()[0] for request in asked}
    assert {int(query.removeprefix("term")) for query in queries} == {0, 1, 5, 10, 15}


def test_nothing_is_written_and_an_oracle_takes_next_to_no_time(small):
    before = sorted(Path().rglob("*"))
    found = forecast(recipe('dataset = "small"\nmethod = "listwise"\njudge = "oracle"\n'), 3)
    after = [path for path in sorted(Path().rglob("*")) if "cache" not in path.parts]
    assert after == sorted([*before, Path("mine.toml")])
    assert found["seconds"] < 60


def test_the_command_says_what_all_of_it_will_take(small, monkeypatch, capsys):
    from rerank import cli

    slow(monkeypatch, 0.0)
    recipe(SCORER)
    monkeypatch.setattr("sys.argv", ["rerank", "bench", "mine.toml", "--queries", "2"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    out = capsys.readouterr().out
    assert not left.value.code and "| 2 queries |" in out
    assert "| small   |      20 |   200 |" in out and "all in all about" in out
    monkeypatch.setattr("sys.argv", ["rerank", "bench", "mine.toml", "--json"])
    with pytest.raises(SystemExit):
        cli.main()
    assert json.loads(capsys.readouterr().out).keys() >= {"loading_seconds", "sample", "seconds"}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (59.2, "59.2 s"), (61, "1 min 1 s"), (3600 * 30 + 61, "30 h 1 min")],
)
def test_a_duration_is_said_as_a_person_says_it(seconds, said):
    assert duration(seconds) == said
