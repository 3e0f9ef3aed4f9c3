"""Every row of the table can run: its strategy, options and prompt fit each other."""

import re
from dataclasses import replace

import pytest
from play import play

from rerank import files
from rerank.cost import expect, strategy_of
from rerank.errors import UsageError
from rerank.methods import METHODS
from rerank.records import Doc, Query
from rerank.strategies import STRATEGIES

TWENTY = {Query("q", "a query"): [Doc(str(d), f"text {d}") for d in range(20)]}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_asks_what_its_prompt_answers(name):
    cost = expect(METHODS[name], TWENTY)
    assert (cost.calls > 0) == (name != "first-stage") == (METHODS[name].prompt != "")
    assert (cost.prompt_tokens > 0) == (cost.calls > 0)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_whose_it_is_and_what_it_costs(name):
    row = METHODS[name]
    assert row.calls and row.rounds
    known = row.paper in ("no reranking", "this project")
    assert known or re.search(r"arXiv:\d{4}\.\d{5}|mixedbread-ai/", row.paper)


def test_there_are_methods_enough_for_the_literature():
    assert len(METHODS) >= 25
    assert set(files.names("prompts")) - {row.prompt for row in METHODS.values()} == {
        "listwise/rank-zephyr-letters",  # FIRST's checkpoint, writing its whole list
        *(f"{kind}/boxed" for kind in ("pointwise", "pairwise", "setwise")),
        *(f"{kind}/boxed-written" for kind in ("listwise", "setwise")),
    }


def test_the_strengths_of_duot5s_preferences_add_up():
    """a is ahead of both others by a little, b of c by a lot."""
    strengths = {"ab": 0.6, "ba": 0.4, "ac": 0.6, "ca": 0.4, "bc": 0.9, "cb": 0.0}
    strategy, _ = strategy_of(METHODS["duot5"])
    ranking, [batch] = play(strategy("cab", debias="sum"), lambda q: strengths[q.a + q.b])
    assert (ranking, len(batch)) == (["b", "a", "c"], 6)
    ranking, _ = play(strategy("cab", debias="mean"), lambda q: strengths[q.a + q.b])
    assert ranking == ["a", "b", "c"]


def test_an_instruction_is_for_a_prompt_that_takes_one():
    instructed = replace(METHODS["qwen3-reranker"], instruction="Find code.")
    _, prompt = strategy_of(instructed)
    assert prompt.file.instruction == "Find code."
    with pytest.raises(UsageError, match="prompt pairwise/prp takes no instruction"):
        strategy_of(replace(METHODS["prp-heapsort"], instruction="Find code."))


def test_every_strategy_has_a_method():
    assert {row.strategy for row in METHODS.values()} == set(STRATEGIES)


def test_a_method_that_reads_label_scores_of_pairs_takes_their_mean_or_their_sum():
    """ "agree" throws away what a probability says beyond its side of a half."""
    for name, row in METHODS.items():
        if row.strategy.startswith("prp"):
            _, prompt = strategy_of(row)
            weighed = prompt.file.reads == "label-preference"
            assert (row.options.get("debias") in ("mean", "sum")) == weighed, name
