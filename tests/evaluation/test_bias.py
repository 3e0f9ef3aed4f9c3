"""Bias of place is measured as it is: none, one that was put in, and one that is a model's own."""

import json
import random

import pytest
from fakes import ScriptedEngine
from small import DOCS, QUERIES, beir
from typer.testing import CliRunner

from rerank import bias
from rerank.cli import app
from rerank.errors import InputError, UsageError
from rerank.judges import LLMJudge, Oracle
from rerank.prompts import read_prompt
from rerank.questions import Compare, Order, Pick, Rate
from rerank.recipes import Recipe
from rerank.records import Doc, Query
from rerank.tasks import Task
from rerank.wants import Reply


def task(queries=30, docs=12):
    """Queries whose documents all have different grades."""
    names = [f"q{q}" for q in range(queries)]
    listed = [Doc(f"d{d}", f"text {d}") for d in range(docs)]
    grades = {q: {doc.id: grade for grade, doc in enumerate(listed)} for q in names}
    return Task("made up", {Query(q, q): listed for q in names}, grades)


def examined(asks, *, samples=8, window=10, given=None, **errors):
    given = given or task()
    return bias.examine_task(given, Oracle(given.qrels, **errors), asks, samples, window)


def test_without_bias_both_orders_agree_and_neither_place_is_preferred():
    found = examined(Compare)
    assert (found["agree"], found["draws"]) == (1.0, 0.0)
    assert found["first"] == 0.5
    assert found["pairs"] == 30 * 8


def test_a_bias_for_the_first_of_a_pair_is_seen():
    """Pairs of neighbours are drawn, those nearer than the bonus contradicted."""
    found = examined(Compare, bias=2.5)
    nearer = sum(abs(a - b) < 2.5 for a in range(12) for b in range(12) if a != b) / (12 * 11)
    assert found["agree"] == pytest.approx(1 - nearer, abs=0.1)
    assert found["first"] == pytest.approx(0.5 + nearer / 2, abs=0.05)
    shares = [examined(Compare, bias=b)["first"] for b in (-20, -2, 0, 2, 20)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_noise_contradicts_itself_but_prefers_no_place():
    found = examined(Compare, noise=5.0)
    assert 0.4 < found["agree"] < 0.9
    assert found["first"] == pytest.approx(0.5, abs=0.07)


def test_equals_are_draws():
    given = task()
    equal = Task(
        "equal", given.candidates, {q: dict.fromkeys(g, 1) for q, g in given.qrels.items()}
    )
    found = examined(Compare, given=equal)
    assert (found["agree"], found["draws"], found["first"]) == (0.0, 1.0, 0.5)


def test_without_bias_a_window_comes_back_in_one_order_whatever_its_own():
    found = examined(Order)
    assert found["tau"] == 1.0
    assert found["as_shown"] == 0.0
    assert max(map(abs, found["gain_by_slot"])) < 1
    assert found["windows"] == 30 * 8


def test_a_bias_for_the_first_slot_of_a_window_is_what_that_slot_gains():
    found = examined(Order, bias=4.0)
    first, *others = found["gain_by_slot"]
    assert first > 2 > max(map(abs, others))
    assert 0.6 < found["tau"] < 1
    assert examined(Order, bias=100.0)["gain_by_slot"][0] == 4.5


def test_noise_lowers_tau_and_gains_no_slot_anything():
    taus = [examined(Order, noise=noise)["tau"] for noise in (0, 2, 5, 50)]
    assert taus == sorted(taus, reverse=True)
    assert abs(taus[-1]) < 0.1
    assert max(map(abs, examined(Order, noise=50)["gain_by_slot"])) < 1


def test_a_judge_that_gives_back_what_it_was_shown_is_found_out():
    given = task()
    given = Task("equal", given.candidates, {})
    found = examined(Order, given=given)
    assert found["as_shown"] == 1.0
    assert found["gain_by_slot"] == [4.5 - slot for slot in range(10)]
    assert abs(found["tau"]) < 0.1


def test_picks_of_the_same_document_from_anywhere_are_no_bias():
    found = examined(Pick)
    assert (found["agree"], found["draws"]) == (1.0, 0.0)
    assert found["picked_by_slot"] == pytest.approx([0.1] * 10, abs=0.08)
    assert sum(found["picked_by_slot"]) == pytest.approx(1, abs=0.001)


def test_picks_of_the_first_slot_are():
    found = examined(Pick, bias=4.0)
    assert found["picked_by_slot"][0] > 0.4
    assert found["agree"] < 0.6
    assert examined(Pick, bias=100.0)["picked_by_slot"] == [1.0, *[0.0] * 9]


def test_a_pick_of_several_picks_nothing():
    found = examined(Pick, given=Task("equal", task().candidates, {}))
    assert (found["agree"], found["draws"]) == (0.0, 1.0)
    assert found["picked_by_slot"] == [0.0] * 10


def test_short_lists_have_short_windows_and_none_of_one():
    lists = {Query(f"q{n}", "?"): [Doc(f"d{i}", "") for i in range(n)] for n in (0, 1, 2, 5)}
    grades = {q.id: {doc.id: i for i, doc in enumerate(docs)} for q, docs in lists.items()}
    found = examined(Order, given=Task("short", lists, grades))
    assert (found["queries"], len(found["gain_by_slot"]), found["tau"]) == (2, 5, 1.0)
    single = Task("single", {Query("q", "?"): [Doc("d", "")]}, {})
    with pytest.raises(InputError, match="single: no query has two candidates"):
        examined(Order, given=single)


def test_taus():
    assert bias.tau("abcd", "abcd") == 1
    assert bias.tau("abcd", "dcba") == -1
    assert bias.tau("abc", "acb") == pytest.approx(1 / 3)


def test_a_model_that_always_says_a_is_biased_and_its_unreadable_replies_are_counted():
    said = random.Random(0)
    prompt = read_prompt("pairwise/prp")

    def reply(request):
        return Reply(text="Passage A" if said.random() < 0.75 else "I cannot tell")

    judge = LLMJudge(prompt, ScriptedEngine(reply))
    found = bias.examine_task(task(), judge, Compare, 8, 10)
    unreadable = found["answers"]["unreadable"] / found["calls"]
    assert unreadable == pytest.approx(0.25, abs=0.06)
    assert found["first"] == pytest.approx(1 - unreadable / 2, abs=0.02)
    assert found["agree"] == 0.0 and 0.3 < found["draws"] < 0.6


def test_the_same_recipe_finds_the_same(tmp_path):
    recipe = Recipe(dataset=str(beir(tmp_path / "c")), method="listwise", judge="oracle")
    found = [bias.examine(recipe, tmp_path / "run", 4, 6) for _ in range(2)]
    assert found[0] == found[1]
    [part] = found[0].values()
    assert (part["asks"], part["queries"], part["calls"]) == ("Order", QUERIES, 4 * QUERIES)
    assert len(part["gain_by_slot"]) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "yes-no"}, "prompt pointwise/yes-no shows one document: there is no place"),
        ({"method": "first-stage"}, "nothing is asked: there is no place"),
        ({"samples": 1}, "2 samples or more"),
        ({"window": 1}, "windows of 2 documents or more"),
    ],
)
def test_what_cannot_be_biased_or_measured_is_refused(change, message, tmp_path):
    sizes = {"samples": 4, "window": 6, **change}
    method = sizes.pop("method", "listwise")
    recipe = Recipe(dataset=str(beir(tmp_path / "c")), method=method, judge="oracle")
    with pytest.raises(UsageError, match=message):
        bias.examine(recipe, tmp_path / "run", **sizes)


# --------------------------------------------------------------------------------- rerank bias


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "mine" / "recipe.toml"
    path.parent.mkdir()
    path.write_text(
        f'dataset = "{beir(tmp_path / "c").as_posix()}"\nmethod = "prp-heapsort"\n'
        'judge = "oracle"\noracle.bias = 9.0\n'
    )
    return path


def ran(*options):
    result = CliRunner().invoke(app, ["bias", *map(str, options)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_command_says_what_was_found_beside_what_would_be_without_bias(recipe):
    assert ran(recipe) == ran(recipe.parent)
    text = ran(recipe, "--samples", 5)
    assert f"c: {QUERIES} queries" in text
    assert "the first is preferred         100.0%    50 %" in text
    assert "both orders of a pair agree      0.0%   100 %" in text
    assert "unreadable" not in text


def test_windows_and_picks_have_a_number_for_each_slot(recipe):
    for method, line in (
        ("listwise", "places gained, by slot"),
        ("setwise-heapsort", "picked, by slot"),
    ):
        text = ran(recipe, "--set", f"method={method}", "--window", 7)
        [slots] = [row.split() for row in text.splitlines() if line in row]
        assert len([cell for cell in slots if cell[0] in "+-0123456789"]) >= 7


def test_json_has_every_dataset(recipe):
    found = json.loads(ran(recipe, "--json", "--window", 50, "--set", 'method="listwise"'))
    [part] = found.values()
    assert len(part["gain_by_slot"]) == DOCS and part["answers"]["ok"] == part["calls"]


def test_rate_is_no_question_of_places():
    assert Rate not in bias.SUMMARIES
