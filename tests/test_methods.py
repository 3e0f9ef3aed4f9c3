"""Every row of the table can run: its strategy, options and prompt fit each other."""

import re

import pytest

from rerank.cost import expect, strategy_of
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
    assert name == "first-stage" or re.search(r"arXiv:\d{4}\.\d{5}", row.paper)


def test_every_strategy_has_a_method():
    assert {row.strategy for row in METHODS.values()} == set(STRATEGIES)


def test_a_method_that_reads_label_scores_of_pairs_takes_their_mean():
    """ "agree" throws away what a probability says beyond its side of a half."""
    for name, row in METHODS.items():
        if row.strategy.startswith("prp"):
            _, prompt = strategy_of(row)
            means = prompt.file.reads == "label-preference"
            assert row.options == ({"debias": "mean"} if means else {}), name
