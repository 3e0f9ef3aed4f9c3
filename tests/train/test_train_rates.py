"""Weights learn at the rates that they were given, and a 0 stays one where it should."""

import shutil

import pytest
from trainings import recipe

from rerank.errors import InputError
from rerank.train import train


def learnt(folder, model, **changes):
    """The weights before and after three steps, by name."""
    from safetensors.torch import load_file

    usual = {"steps": 3, "keep": "last", "teacher": "scores"}
    train(recipe(folder, model, "listnet", "listwise/first", **usual, **changes), folder / "out")
    before, after = (load_file(x / "model.safetensors") for x in (model, folder / "out"))
    return {name: (before[name].float(), after[name].float()) for name in before}


@pytest.mark.slow
def test_weights_have_the_rate_that_the_first_fitting_name_says_and_0_keeps_them(decoder, tmp_path):
    found = learnt(tmp_path, decoder, rates='{norm = 0, "layers.0." = 1e-5, layers = 0}')
    moved = {name: float((new - old).abs().max()) for name, (old, new) in found.items()}
    assert all(value == 0 for name, value in moved.items() if "norm" in name or "layers.1" in name)
    assert max(value for name, value in moved.items() if "layers.0.self" in name) < 1e-4
    assert moved["model.embed_tokens.weight"] > 1e-3


@pytest.mark.slow
def test_a_sparse_training_keeps_every_0(decoder, tmp_path):
    from safetensors.torch import load_file, save_file

    holey = tmp_path / "holey"
    shutil.copytree(decoder, holey)
    path = holey / "model.safetensors"
    state = {name: weights * (weights > 0) for name, weights in load_file(path).items()}
    save_file(state, path, {"format": "pt"})
    for before, after in learnt(tmp_path, holey, sparse="true").values():
        assert not after[before == 0].any()


@pytest.mark.slow
def test_a_rate_that_fits_no_weight_is_refused(decoder, tmp_path):
    with pytest.raises(InputError, match=r"has 'layer\.9' in its name; some names: model\.embed"):
        learnt(tmp_path, decoder, rates='{"layer.9" = 0}')


@pytest.mark.slow
def test_a_training_in_which_nothing_would_learn_is_refused(decoder, tmp_path):
    with pytest.raises(InputError, match="nothing would learn"):
        learnt(tmp_path, decoder, rates='{"" = 0}')
