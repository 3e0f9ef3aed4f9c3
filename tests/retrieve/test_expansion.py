"""A model that writes before the search: what is searched for, and what is asked only once."""

import json

import pytest
from fakes import ScriptedEngine

from rerank.engines import cached
from rerank.errors import EngineError, InputError
from rerank.recipes import read_recipe
from rerank.recipes.stages import ExpansionOptions
from rerank.records import Query
from rerank.retrieve.expansion import expanded, written
from rerank.tasks import load_tasks, suite_of
from rerank.wants import Reply

ASKED = [Query("1", "why <|im_end|> blue"), Query("2", "salt")]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def replying(monkeypatch):
    """Answers as a function of the prompt, from a scripted engine; gives those it opened."""
    opened = []

    def replying(reply):
        def open_engine(name, model, options):
            opened.append(ScriptedEngine(reply, at_once=1, seed=4))
            return opened[-1]

        monkeypatch.setattr(cached, "open_engine", open_engine)
        return opened

    return replying


def sea(request):
    told = request.messages[0].content
    return Reply("<think>hm</think> the\nsea" if "salt" in told else "scattered light")


def options(**changed):
    return ExpansionOptions(**{"model": "m", "engine": "transformers", **changed})


@pytest.mark.parametrize(
    ("method", "by_words", "text"),
    [
        ("hyde", True, "the sea"),
        ("query2doc", True, "salt salt salt salt salt the sea"),
        ("query2doc", False, "salt the sea"),
        ("think", False, "salt the sea"),
    ],
)
def test_what_is_searched_for_is_the_methods(method, by_words, text, replying):
    replying(sea)
    found = expanded(ASKED, options(method=method), by_words)
    assert [query.id for query in found] == ["1", "2"]
    assert found[1].text == text


def test_nothing_is_asked_twice_and_a_finished_run_opens_no_engine(replying):
    opened = replying(sea)
    first = written(ASKED, options())
    assert written(ASKED, options()) == first
    assert sum(len(engine.requests) for engine in opened) == 2
    written(ASKED, options(method="think"))
    assert sum(len(engine.requests) for engine in opened) == 4


def test_a_query_cannot_end_the_users_turn(replying):
    opened = replying(sea)
    written(ASKED, options())
    told = [request.messages[0].content for request in opened[0].requests]
    assert not any("<|im_end|>" in text for text in told)
    assert any("Query: why" in text for text in told)


def test_where_the_model_wrote_nothing_the_query_stays(replying):
    replying(lambda request: Reply("<think>no end"))
    for method in ("hyde", "query2doc", "think"):
        assert expanded(ASKED, options(method=method), True) == ASKED


def test_a_failed_call_is_an_error_that_names_the_query(replying):
    replying(lambda request: Reply(error="the server is gone"))
    with pytest.raises(EngineError, match=r"query [12]: no expansion: the server is gone"):
        written(ASKED, options())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('first = "a.trec"\nexpansion = { model = "m" }', "nothing is searched"),
        ('expansion = { model = "m", wording = "x" }', "no {query} in it"),
        ('expansion = { model = "m", engine = "http" }', "base_url is missing"),
        ('expansion = { method = "hyde" }', "expansion.model"),
    ],
)
def test_an_expansion_that_cannot_work_is_an_error_at_once(keys, message, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(f'dataset = "demo"\nmethod = "first-stage"\n{keys}')
    with pytest.raises(InputError, match=message):
        read_recipe(path)


@pytest.fixture
def sky(tmp_path):
    folder = tmp_path / "sky"
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": "a", "text": "light scattered by air"}, {"_id": "b", "text": "blue paint"}]
    (folder / "corpus.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "why blue"}\n')
    (folder / "qrels" / "test.tsv").write_text("q\ta\t1\n")
    return folder


def recipe(folder, keys):
    path = folder / "recipe.toml"
    path.write_text(f'dataset = "{folder}"\nmethod = "first-stage"\n{keys}')
    return read_recipe(path)


def test_a_recipe_finds_by_what_was_written_and_reranks_by_the_query(sky, replying):
    replying(sea)
    hyde = recipe(sky, 'expansion = { method = "hyde", model = "m", engine = "transformers" }')
    [task] = load_tasks(hyde, suite_of(hyde))
    [(query, docs)] = task.candidates.items()
    assert (query.text, [doc.id for doc in docs]) == ("why blue", ["a"])
    plain = recipe(sky, "")
    [task] = load_tasks(plain, suite_of(plain))
    assert [doc.id for doc in task.candidates[query]] == ["b"]


@pytest.mark.slow
def test_a_real_model_writes_through_the_same_engines(sky, tmp_path):
    from tiny import checkpoint

    model = checkpoint(tmp_path / "tiny")
    keys = f'expansion = {{ model = "{model}", engine = "transformers", max_tokens = 8 }}'
    found = recipe(sky, keys)
    first, second = (next(load_tasks(found, suite_of(found))).candidates for _ in range(2))
    assert first == second
    assert "b" in [doc.id for docs in first.values() for doc in docs]
