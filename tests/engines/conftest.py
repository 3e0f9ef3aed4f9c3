"""A tiny checkpoint of random weights, as the engine and as plain transformers load it."""

from types import SimpleNamespace

import pytest
import tiny

from rerank.engines.transformers import Transformers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.checkpoint(tmp_path_factory.mktemp("tiny"), context=256)


@pytest.fixture(scope="module")
def engine(folder):
    return Transformers(str(folder), device="cpu")


@pytest.fixture(scope="module")
def plain(folder):
    """The model and the tokenizer as anyone would load them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder):
    """What transformers makes of the same checkpoint: the yardstick."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
    return SimpleNamespace(model=loaded, tokenizer=AutoTokenizer.from_pretrained(folder))
