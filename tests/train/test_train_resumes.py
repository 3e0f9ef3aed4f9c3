"""A killed training resumes to the same weights, and processes that read ahead change nothing."""

import os
import signal
from functools import partial

import pytest
from trained import Killed, killed_after, lines, losses, second_is_best
from trainings import recipe

from rerank.errors import EngineError, InputError
from rerank.train import train
from rerank.train.lessons import lesson


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "changes"),
    [
        ("ranknet", {}),
        ("policy-gradient", {}),
        ("pairwise", {"lora.rank": 4, "lora.dropout": 0.1}),
        ("grpo", {}),
    ],
    ids=["ranknet", "policy-gradient", "lora", "grpo"],
)
def test_a_killed_training_resumes_to_the_weights_that_it_would_have_had(
    objective, changes, dropping, tmp_path
):
    from safetensors.torch import load_file

    if objective == "grpo":
        wanted = second_is_best(tmp_path)
    else:
        wanted = recipe(tmp_path, dropping, objective, **changes)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train(wanted, whole)
    with pytest.raises(Killed):
        train(wanted, torn, partial(killed_after, 12))
    assert not (torn / "config.json").exists()
    train(wanted, torn)
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, torn))
    assert one.keys() == other.keys()
    assert max(float((one[key] - other[key]).abs().max()) for key in one) < 1e-6
    assert losses(torn) == pytest.approx(losses(whole), abs=1e-6)
    assert [line["step"] for line in lines(torn)] == [line["step"] for line in lines(whole)]
    assert not (torn / "checkpoint.pt").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "objective", "prompt"),
    [
        ("encoder", "ranknet", "pointwise/score"),
        ("decoder", "first", "listwise/first"),
    ],
)
def test_processes_that_read_ahead_change_no_step(model, objective, prompt, request, tmp_path):
    given = request.getfixturevalue(model), objective, prompt
    for name, workers in (("none", 0), ("two", 2)):
        wanted = recipe(tmp_path, *given, teacher="order", workers=workers)
        train(wanted, tmp_path / name)
    assert losses(tmp_path / "none") == losses(tmp_path / "two")
    wanted, torn = recipe(tmp_path, *given, teacher="order", workers=2), tmp_path / "torn"
    with pytest.raises(Killed):
        train(wanted, torn, partial(killed_after, 12))
    train(wanted.model_copy(update={"workers": 0}), torn)
    assert losses(torn) == losses(tmp_path / "none")


@pytest.mark.slow
def test_a_checkpoint_of_another_recipe_is_refused_and_a_finished_training_done(encoder, tmp_path):
    wanted, out = recipe(tmp_path, encoder, "ranknet", steps=6), tmp_path / "out"
    with pytest.raises(Killed):
        train(wanted, out, partial(killed_after, 5))
    with pytest.raises(InputError, match="of another recipe or other data"):
        train(recipe(tmp_path, encoder, "pairwise", steps=6), out)
    result = train(wanted, out)
    assert train(wanted, out, partial(killed_after, 1)) == result
    with pytest.raises(InputError, match="choose another folder"):
        train(recipe(tmp_path, encoder, "pairwise", steps=6), out)


@pytest.mark.slow
def test_a_process_that_was_killed_is_told_in_one_line_and_the_training_goes_on(
    encoder, tmp_path, monkeypatch
):
    wanted, out = recipe(tmp_path, encoder, "ranknet", workers=1), tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("rerank.train.lessons.lesson", partial(killed_at, 12))
        with pytest.raises(EngineError, match=r"was killed.* the same command goes on"):
            train(wanted, out)
    assert train(wanted, out)["recipe"]["steps"] == 20
    assert len(losses(out)) == 20


def killed_at(last, recipe, found, students, step):
    if step == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return lesson(recipe, found, students, step)
