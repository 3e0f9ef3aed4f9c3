"""What an engine does not serve or take is said before a model is loaded."""

from typing import get_args

import pytest

from rerank.engines.opening import ENGINES, choose, open_engine, refuse_unserved
from rerank.errors import EngineError, UsageError
from rerank.recipes import Recipe
from rerank.wants import Labels, Pair, Text


def test_a_prompt_that_an_engine_does_not_serve_is_refused_without_loading():
    with pytest.raises(EngineError, match="prompt p wants Pair, but engine http serves Text"):
        refuse_unserved("http", Pair, "p")
    with pytest.raises(EngineError, match="engine scorer serves Pair"):
        refuse_unserved("scorer", Labels, "p")


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_says_what_it_serves(name):
    refuse_unserved(name, Pair if name == "scorer" else Text, "p")


def test_an_unknown_option_names_those_that_there_are():
    with pytest.raises(UsageError, match="engine http has no option 'threads'; it takes: base_url"):
        open_engine("http", "m", {"threads": 3})


def test_a_recipe_can_name_every_engine():
    assert get_args(Recipe.model_fields["engine"].annotation) == ("auto", *ENGINES)


def test_the_model_is_given_once():
    """It was a TypeError."""
    with pytest.raises(UsageError, match="engine http: the model is m; 'model' is no engine opt"):
        open_engine("http", "m", {"model": "x"})


@pytest.mark.parametrize("options", [{"concurrency": "x"}, {"timeout": "x"}, {"attempts": None}])
def test_an_option_of_the_wrong_type_is_one_line(options):
    with pytest.raises(UsageError, match=r"engine http: option .* it should be"):
        open_engine("http", "m", {"base_url": "http://127.0.0.1:1/v1", **options})


def test_a_server_is_chosen_where_one_is_named_and_a_scorer_for_pairs():
    assert choose(Text, "http://127.0.0.1/v1") == "http"
    assert choose(Pair, None) == "scorer"
