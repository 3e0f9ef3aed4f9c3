"""Trainings of tiny models: the loss of each objective falls, and what comes out reranks."""

import json
from math import log

import pytest
from trained import falls, second_is_best, utility
from trainings import TOPICS, recipe
from typer.testing import CliRunner

from rerank import Reranker
from rerank.cli import app
from rerank.train import train
from rerank.train.data import examples
from rerank.train.losses import loss_of
from rerank.train.opening import open_student
from rerank.train.students import Output

SCORED = ("ranknet", "listnet", "lambdarank", "pairwise", "pointwise", "margin-mse")


@pytest.mark.slow
def test_a_curriculum_weighs_what_is_hard_less_until_it_ends(tmp_path):
    """Places 1, 2 and 3 of the first stage; the second is relevant."""
    import torch

    first, targets = torch.tensor([9.0, 5.0, 4.0]), torch.tensor([0.0, 1.0, 0.0])
    output = Output(torch.zeros(3))
    for objective, weights in (("pairwise", (1 / 4, 7 / 12)), ("pointwise", (0, 1 / 2, 2 / 3))):
        wanted = recipe(tmp_path, "any", objective, **{"curriculum.steps": 4})
        mean = sum(weights) / len(weights)
        found = [float(loss_of(wanted, output, targets, first, step)) for step in (0, 2, 4, 9)]
        shares = [mean, (1 + mean) / 2, 1, 1]
        assert found == pytest.approx([log(2) * share for share in shares], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("objective", SCORED)
def test_twenty_steps_lower_each_objective_of_a_cross_encoder(objective, encoder, tmp_path):
    teacher = "scores" if objective == "margin-mse" else "labels"
    train(recipe(tmp_path, encoder, objective, teacher=teacher), tmp_path / "out")
    assert falls(tmp_path / "out")


@pytest.mark.slow
def test_twenty_steps_raise_the_utility_of_the_policy_gradient(encoder, tmp_path):
    """Its loss measures nothing; what it raises is the nDCG of what it draws."""
    wanted = recipe(tmp_path, encoder, "policy-gradient")
    train(wanted, tmp_path / "out")
    assert utility(wanted, tmp_path / "out") > utility(wanted, encoder) + 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "prompt", "teacher"),
    [
        ("language", "listwise/rank-zephyr", "order"),
        ("full-ranking", "listwise/rank-zephyr", "order"),
        ("first", "listwise/first", "order"),
        ("ranknet", "listwise/first", "scores"),
        ("pointwise", "pointwise/yes-no", "labels"),
    ],
)
def test_twenty_steps_lower_each_objective_of_a_decoder(
    objective, prompt, teacher, decoder, tmp_path
):
    wanted = recipe(tmp_path, decoder, objective, prompt, teacher=teacher)
    result = train(wanted, tmp_path / "out")
    assert falls(tmp_path / "out")
    shuffled = "ndcg@10 shuffled" in result["validation"]
    assert shuffled == prompt.startswith("listwise")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "prompt"), [("pointwise", "pointwise/monot5"), ("duo", "pairwise/duot5")]
)
def test_twenty_steps_lower_each_objective_of_a_model_with_an_encoder(
    objective, prompt, t5, tmp_path
):
    train(recipe(tmp_path, t5, objective, prompt), tmp_path / "out")
    assert falls(tmp_path / "out")


@pytest.mark.slow
def test_a_decoder_learns_which_of_two_is_better(decoder, tmp_path):
    train(recipe(tmp_path, decoder, "duo", "pairwise/prp-labels"), tmp_path / "out")
    assert falls(tmp_path / "out")


def earned(wanted, model):
    """The mean reward of eight replies to each query that is trained on."""
    import torch

    torch.manual_seed(5)
    student = open_student(wanted.model_copy(update={"model": str(model)}))
    with student.loaded.computing():
        found = [student.outputs([e])[0].rewards for e in examples(wanted.data).training]
    return float(torch.cat(found).mean())


@pytest.mark.slow
def test_twenty_steps_raise_what_replies_earn(tmp_path):
    wanted = second_is_best(tmp_path)
    train(wanted, tmp_path / "out")
    assert earned(wanted, tmp_path / "out") > earned(wanted, "boxed-decoder") + 0.1


@pytest.mark.slow
def test_adapters_learn_alone_and_are_merged_into_a_model_like_any_other(encoder, tmp_path):
    wanted = recipe(tmp_path, encoder, "pairwise", **{"lora.rank": 4, "rate": 0.01})
    train(wanted, tmp_path / "out")
    assert falls(tmp_path / "out")
    assert not [*(tmp_path / "out").glob("adapter*")]
    student = open_student(wanted)
    learning = [name for name, w in student.loaded.model.named_parameters() if w.requires_grad]
    assert learning and all("lora_" in name or "classifier" in name for name in learning)
    with Reranker(str(tmp_path / "out")) as reranker:
        assert len(reranker.rerank("which one is about dogs bark", list(TOPICS))) == len(TOPICS)


@pytest.mark.slow
def test_one_model_learns_to_be_asked_in_two_ways(decoder, tmp_path):
    also = {"also": ["pointwise/yes-no"], "steps": 60}
    wanted = recipe(tmp_path, decoder, "ranknet", "listwise/first", teacher="scores", **also)
    train(wanted, tmp_path / "out")
    for prompt in ("pointwise/yes-no", "listwise/first"):
        one_way = wanted.model_copy(update={"prompt": prompt, "also": ()})
        assert utility(one_way, tmp_path / "out") > utility(one_way, decoder)


@pytest.mark.slow
def test_what_was_trained_reranks_with_the_scores_that_it_was_trained_to(encoder, tmp_path):
    wanted, out = recipe(tmp_path, encoder, "pairwise", steps=60), tmp_path / "out"
    train(wanted, out)
    student = open_student(wanted.model_copy(update={"model": str(out)}))
    with Reranker(str(out)) as reranker:
        for example in examples(wanted.data).training:
            ranking = reranker.rerank(example.query.text, [doc.text for doc in example.docs])
            assert ranking[0].document == TOPICS[example.targets.index(max(example.targets))]
            [output] = student.outputs([example])
            scores = sorted(output.scores.tolist(), reverse=True)
            assert [hit.score for hit in ranking] == pytest.approx(scores, abs=1e-5)
    assert reranker.score_kind == "logit"


@pytest.mark.slow
def test_a_list_decoder_that_was_trained_reranks_as_its_validation_did(decoder, tmp_path):
    train(recipe(tmp_path, decoder, "first", "listwise/first", teacher="order"), tmp_path / "out")
    with Reranker(str(tmp_path / "out"), method="first", engine="transformers") as reranker:
        ranking = reranker.rerank("which one is about dogs bark", list(TOPICS))
    assert sorted(hit.document for hit in ranking) == sorted(TOPICS)
    assert ranking.answers["ok"] == 1


@pytest.mark.slow
def test_the_command_trains_shows_what_it_gained_and_prints_json(encoder, tmp_path):
    recipe(tmp_path, encoder, "ranknet")
    out = tmp_path / "model"
    asked = [
        "train",
        str(tmp_path / "train.toml"),
        "-o",
        str(out),
        "--set",
        "steps=2",
        "--set",
        "dtype=bfloat16",
    ]
    shown_table = CliRunner().invoke(app, asked)
    assert shown_table.exit_code == 0 and "ndcg@10" in shown_table.stdout
    again = CliRunner().invoke(app, [*asked, "--json"])
    assert json.loads(again.stdout)["recipe"]["steps"] == 2
    assert (out / "training.json").is_file()
