"""Mistakes in values are said in the words of who wrote them, and never in Python's."""

import re
from dataclasses import replace
from datetime import date
from math import inf, nan
from typing import Any

import pytest

from rerank import files
from rerank.cost import strategy_of
from rerank.engines.opening import open_engine
from rerank.errors import InputError, UsageError
from rerank.methods import METHODS
from rerank.prompts.file import PromptFile
from rerank.recipes import Recipe
from rerank.recipes.options import limits
from rerank.server.limits import Refused
from rerank.server.requests import RerankRequest, read
from rerank.train.pseudo import PseudoRecipe
from rerank.train.recipes import TrainRecipe

PYTHONS = re.compile("valid|tuple|dictionary|boolean|integer|instance|input|value error|Options")
DATA = {"candidates": "c", "teacher": "labels"}
TRAINING = {"model": "boxed", "objective": "ranknet", "data": DATA}
PROMPT = {"asks": "Order", "source": "s", "reads": "permutation", "user": "u"}
RECIPE: dict[str, Any] = {"dataset": "demo", "method": "first-stage"}


def mistake(model, raw):
    """What is said of a file with these keys."""
    with pytest.raises(InputError) as said:
        files.checked(model, raw, "F")
    return str(said.value)


@pytest.mark.parametrize(
    ("model", "raw", "says"),
    [
        (Recipe, RECIPE | {"measures": 5}, "key 'measures': it should be a list"),
        (Recipe, RECIPE | {"measures": []}, "key 'measures': it should have 1 or more in it"),
        (Recipe, RECIPE | {"measures": [5]}, "key 'measures.0': it should be a string"),
        (Recipe, RECIPE | {"bm25": 5}, "key 'bm25': it should be a table"),
        (Recipe, RECIPE | {"options": 5}, "key 'options': it should be a table"),
        (Recipe, RECIPE | {"memo": 1}, "key 'memo': it should be true or false"),
        (Recipe, RECIPE | {"depth": 1.5}, "key 'depth': it should be a whole number"),
        (Recipe, RECIPE | {"depth": 0}, "key 'depth': it should be 1 or more"),
        (Recipe, RECIPE | {"instruction": ""}, "key 'instruction': it should have 1 or more char"),
        (Recipe, RECIPE | {"bm25": {"k1": "x"}}, "key 'bm25.k1': it should be a number"),
        (Recipe, RECIPE | {"bm25": {"b": 1.5}}, "key 'bm25.b': it should be 1 or less"),
        (
            Recipe,
            RECIPE | {"passages": {"stride": 9}},
            "key 'passages': stride is above sentences: what is between would never be read",
        ),
        (Recipe, RECIPE | {"depth": 0, "memo": 1, "limit": 0}, "1 or more (and 2 more)"),
        (TrainRecipe, TRAINING | {"data": 5}, "key 'data': it should be a table"),
        (TrainRecipe, TRAINING | {"also": "x"}, "key 'also': it should be a list"),
        (TrainRecipe, TRAINING | {"rate": 0.0}, "key 'rate': it should be above 0"),
        (TrainRecipe, TRAINING | {"warmup": 1.0}, "key 'warmup': it should be below 1"),
        (TrainRecipe, {"data": DATA}, "key 'model': is missing (and 1 more)"),
        (Recipe, RECIPE | {"options": {"x": date(2026, 1, 1)}},
         "key 'options': it should hold strings, finite numbers, true, false, lists and tables, a"),
        (Recipe, RECIPE | {"str": 5}, "key 'str': is not a known key"),
        (Recipe, RECIPE | {"[key]": 5}, "key '[key]': is not a known key"),
        (Recipe, RECIPE | {"sampling": {"float": 1}}, "key 'sampling.float': is not a known key"),
        (PseudoRecipe, {"corpora": ["demo"], "kinds": {"tilte": 1.0}},
         "key 'kinds.tilte': is not a known key; it should be 'title', 'sentence' or 'keywords'"),
        (PseudoRecipe, {"corpora": ["demo"], "kinds": {"title": -1.0}},
         "key 'kinds.title': it should be 0 or more"),
        (PseudoRecipe, {"corpora": ["demo"], "kinds": {}},
         "key 'kinds': give one of its numbers more than 0; nothing would be tried"),
        (PromptFile, PROMPT | {"labels": 5},
         "key 'labels': it should be 'numbers' or 'letters' or a list"),
        (PromptFile, PROMPT | {"labels": ["a", 5]}, "key 'labels.1': it should be a string"),
        (PromptFile, PROMPT | {"turns": ["x"]}, "key 'turns.0': it should be a table"),
    ],
)  # fmt: skip
def test_a_wrong_value_in_a_file_is_said_in_the_words_of_toml(model, raw, says):
    said = mistake(model, raw)
    assert said.startswith("F: ") and says in said and not PYTHONS.search(said)


@pytest.mark.parametrize(
    ("model", "raw", "key"),
    [
        (Recipe, RECIPE | {"bm25": {"k1": inf}}, "bm25.k1"),
        (Recipe, RECIPE | {"bm25": {"k1": nan}}, "bm25.k1"),
        (Recipe, RECIPE | {"oracle": {"noise": inf}}, "oracle.noise"),
        (Recipe, RECIPE | {"oracle": {"bias": -inf}}, "oracle.bias"),
        (Recipe, RECIPE | {"budget": {"seconds": inf}}, "budget.seconds"),
        (Recipe, RECIPE | {"fusion": {"weights": [1.0, nan]}}, "fusion.weights.1"),
        (Recipe, RECIPE | {"options": {"gain": inf}}, "options"),
        (Recipe, RECIPE | {"engine_options": {"rope": {"factor": nan}}}, "engine_options"),
        (TrainRecipe, TRAINING | {"rate": inf}, "rate"),
        (TrainRecipe, TRAINING | {"rates": {"mix": inf}}, "rates.mix"),
        (TrainRecipe, TRAINING | {"lora": {"alpha": nan}}, "lora.alpha"),
        (PseudoRecipe, {"corpora": ["demo"], "kinds": {"title": inf}}, "kinds.title"),
    ],
)
def test_a_number_that_is_not_finite_is_refused_with_its_key(model, raw, key):
    """It was a traceback once the run was done."""
    said = mistake(model, raw)
    assert said.startswith(f"F: key {key!r}: it ") and "finite number" in said


def test_options_given_in_python_are_finite_too():
    with pytest.raises(UsageError, match="budget seconds: it should be a finite number"):
        limits({"seconds": inf})
    with pytest.raises(UsageError, match="option timeout is inf; it should be a finite number"):
        open_engine("http", "m", {"base_url": "http://127.0.0.1:1/v1", "timeout": inf})
    with pytest.raises(UsageError, match="option gain is nan; it should be a finite number"):
        strategy_of(replace(METHODS["active"], options={"gain": nan}))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"documents": 5}, "`documents`: it should be a list or a string"),
        ({"documents": [5]}, "`documents.0`: it should be a string or an object"),
        ({"top_n": "many"}, "`top_n`: it should be a whole number"),
        ({"return_documents": 7}, "`return_documents`: it should be true or false"),
        ({"query": ""}, "`query`: it should have 1 or more characters"),
    ],
)
def test_a_wrong_value_in_a_request_is_said_in_the_words_of_json(change, says):
    with pytest.raises(Refused) as no:
        read(RerankRequest, {"query": "q", "documents": ["a"]} | change)
    assert (no.value.status, no.value.why) == (422, says)
