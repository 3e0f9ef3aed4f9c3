"""What a recipe or a system cannot do is told before anything loads."""

import pytest
from trainings import candidates, recipe

from rerank.errors import EngineError, UsageError
from rerank.train import read_training, train


@pytest.mark.slow
def test_a_device_that_is_none_is_refused_in_one_line(tmp_path):
    """It was torch's traceback."""
    text = 'model = "boxed"\nobjective = "ranknet"\nsteps = 1\ndevice = "gpu"\n'
    data = f'[data]\ncandidates = "{candidates(tmp_path / "c.jsonl")}"\nteacher = "labels"\n'
    (tmp_path / "t.toml").write_text(text + data)
    with pytest.raises(EngineError, match=r"^device 'gpu': .*; use auto, cpu or cuda$"):
        train(read_training(tmp_path / "t.toml"), tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"stepz": 3}, "key 'stepz': is not a known key; did you mean 'steps'?"),
        ({"data.doc": 3}, "key 'data.doc': is not a known key; did you mean 'docs'?"),
        ({"objective": "first"}, "objective first writes an order; teacher labels"),
        ({"objective": "margin-mse"}, "objective margin-mse needs teacher scores, not labels"),
        ({"data.teacher": "qrels"}, "key 'data.file' is missing"),
        ({"curriculum.steps": 5}, "'curriculum' is for objectives pairwise and pointwise"),
        ({"prompt": "listwise/rank-zephyr"}, "objective ranknet needs scores"),
        ({"also": ["pointwise/yes-no"]}, "pointwise/score is for a cross-encoder"),
        ({"prompt": "setwise/rank-r1"}, "prompt setwise/rank-r1 (reader picked-label) cannot be"),
        ({"sparse": "true", "lora.rank": 4}, "key 'sparse': adapters begin at 0"),
        ({"packed": "true", "stored": "bfloat16"}, "key 'stored': a packed model is in 8 bits"),
    ],
)
def test_a_mistake_in_a_recipe_is_named_before_anything_loads(changes, mistake, tmp_path):
    with pytest.raises(UsageError) as said:
        recipe(tmp_path, "nowhere", "ranknet", **changes)
    assert mistake in str(said.value)


def test_a_system_that_cannot_fork_is_told_before_anything_loads(tmp_path, monkeypatch):
    monkeypatch.setattr("rerank.train.recipes.get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(UsageError, match="key 'workers': this system cannot fork"):
        recipe(tmp_path, "nowhere", "ranknet", workers=2)
