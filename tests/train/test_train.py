"""Trainings of tiny models: the loss falls, a killed one resumes, what comes out reranks."""

import json
import os
import shutil
import signal
from functools import partial
from math import log

import pytest
import small
import tiny
from checkpoints import bert, encoder_decoder, wordpiece
from trainings import TOPICS, candidates, recipe, run_of
from typer.testing import CliRunner

from rerank import Reranker
from rerank.cli import app
from rerank.datasets import read_labels
from rerank.errors import EngineError, InputError, UsageError
from rerank.train import read_training, train
from rerank.train.data import examples, grades, shown
from rerank.train.lessons import lesson
from rerank.train.losses import loss_of
from rerank.train.objectives import ndcg
from rerank.train.opening import open_student
from rerank.train.recipes import DataOptions
from rerank.train.students import Output

SCORED = ("ranknet", "listnet", "lambdarank", "pairwise", "pointwise", "margin-mse")


def lines(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def losses(folder):
    return [line["loss"] for line in lines(folder) if "loss" in line]


def falls(folder):
    found = losses(folder)
    assert len(found) == 20
    return sum(found[-4:]) < 0.97 * sum(found[:4])


def headless(folder, dropout):
    """A tiny BERT without a head, like MiniLM."""
    import torch

    torch.set_num_threads(1)
    off = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    bert(folder, "BertModel", **off)
    wordpiece(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return headless(tmp_path_factory.mktemp("encoder"), 0.0)


@pytest.fixture(scope="module")
def dropping(tmp_path_factory):
    return headless(tmp_path_factory.mktemp("dropping"), 0.1)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    return tiny.checkpoint(tmp_path_factory.mktemp("decoder"), hidden=32, context=2048)


@pytest.mark.slow
def test_a_device_that_is_none_is_refused_in_one_line(tmp_path):
    """It was torch's traceback."""
    text = 'model = "boxed"\nobjective = "ranknet"\nsteps = 1\ndevice = "gpu"\n'
    data = f'[data]\ncandidates = "{candidates(tmp_path / "c.jsonl")}"\nteacher = "labels"\n'
    (tmp_path / "t.toml").write_text(text + data)
    with pytest.raises(EngineError, match=r"^device 'gpu': .*; use auto, cpu or cuda$"):
        train(read_training(tmp_path / "t.toml"), tmp_path / "out")


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


def utility(wanted, model):
    """The mean nDCG of a model on the queries that it is trained on."""
    import torch

    student = open_student(wanted.model_copy(update={"model": str(model)}))
    found = []
    with student.loaded.computing():
        for example in examples(wanted.data).training:
            order = torch.tensor(student.orders([example]))
            found.append(float(ndcg(torch.tensor(example.targets), order)))
    return sum(found) / len(found)


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


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    return encoder_decoder(tmp_path_factory.mktemp("t5"))[0]


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


def second_is_best(folder):
    """A recipe for GRPO whose queries say nothing: what is to be learnt is to pick the second."""
    changes = {
        "reward": '"label"',
        "draws": 8,
        "rate": 0.001,
        "data.shuffle": "false",
        "keep": '"last"',
    }
    wanted = recipe(folder, "boxed-decoder", "grpo", "setwise/boxed-written", **changes)
    path = folder / "candidates.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for number, row in enumerate(rows):
        row["query"]["text"] = f"question {number}"
        for place, candidate in enumerate(row["candidates"]):
            candidate["label"] = int(place == 1)
    path.write_text("\n".join(map(json.dumps, rows)))
    return wanted


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


class Killed(Exception):
    pass


def killed_after(limit, name, done, whole):
    if done == limit:
        raise Killed


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
def test_one_model_learns_to_be_asked_in_two_ways(decoder, tmp_path):
    also = {"also": ["pointwise/yes-no"], "steps": 60}
    wanted = recipe(tmp_path, decoder, "ranknet", "listwise/first", teacher="scores", **also)
    train(wanted, tmp_path / "out")
    for prompt in ("pointwise/yes-no", "listwise/first"):
        one_way = wanted.model_copy(update={"prompt": prompt, "also": ()})
        assert utility(one_way, tmp_path / "out") > utility(one_way, decoder)


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


def data(tmp_path, **changes):
    given = {"candidates": str(candidates(tmp_path / "candidates.jsonl", 40)), "teacher": "labels"}
    return DataOptions(**(given | changes))


def test_a_query_is_trained_on_or_validated_on_and_never_both(tmp_path):
    training, validation = examples(data(tmp_path, validation=0.3))
    sides = [{example.query.id for example in side} for side in (training, validation)]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 40
    assert 4 < len(validation) < 20
    assert examples(data(tmp_path, validation=0.3)) == (training, validation)


def test_a_label_is_read_beside_each_candidate_and_must_be_a_whole_number(tmp_path):
    path = candidates(tmp_path / "candidates.jsonl")
    assert read_labels(path)["q1"] == {"d0": 0, "d1": 2, "d2": 1, "d3": 0}
    path.write_text(path.read_text().replace('"label": 2', '"label": "2"'))
    with pytest.raises(InputError, match=r"candidate 1: 'label' must be a whole number, not '2'"):
        read_labels(path)


def test_a_teachers_order_becomes_its_places_and_grades_for_validation(tmp_path):
    run = run_of(tmp_path / "teacher.run", 40)
    training, _ = examples(data(tmp_path, teacher="order", file=str(run)))
    example = next(e for e in training if e.query.id == "q1")
    assert example.targets == pytest.approx((1 / 4, 1, 1 / 3, 1 / 2))
    assert grades(example, False) == {"d0": 7, "d1": 10, "d2": 8, "d3": 9}
    own, _ = examples(data(tmp_path, teacher="scores"))
    assert own[0].targets == (4, 3, 2, 1)


def test_a_list_keeps_the_best_document_and_changes_with_the_epoch_alone(tmp_path):
    training, _ = examples(data(tmp_path))
    lists = [shown(training[0], 2, True, f"0 {epoch}") for epoch in range(20)]
    assert all(max(training[0].targets) in found.targets for found in lists)
    assert len({tuple(doc.id for doc in found.docs) for found in lists}) > 2
    assert shown(training[0], 2, True, "0 3") == lists[3]


def test_the_judgments_of_a_test_split_are_never_trained_on(tmp_path):
    folder = small.beir(tmp_path / "collection", queries=40)
    test = folder / "qrels" / "test.tsv"
    with pytest.raises(InputError, match="judgments of a test split are never trained on"):
        examples(data(tmp_path, teacher="qrels", file=str(test)))
    renamed = test.rename(test.with_name("qrels.test.tsv"))
    with pytest.raises(InputError, match="never trained on"):
        examples(data(tmp_path, teacher="qrels", file=str(renamed)))
    train_split = renamed.rename(test.with_name("train.tsv"))
    assert examples(data(tmp_path, teacher="qrels", file=str(train_split))).training


def test_an_oracles_run_is_refused_as_a_teacher(tmp_path):
    run = run_of(tmp_path / "run.trec")
    (tmp_path / "recipe.toml").write_text('judge = "oracle"\ndataset = "x"\n')
    with pytest.raises(InputError, match="an oracle's run is a test split's judgments"):
        examples(data(tmp_path, teacher="order", file=str(run)))


def test_a_query_of_a_collection_that_is_held_out_is_refused(tmp_path):
    folder = small.beir(tmp_path / "collection")
    given = data(tmp_path, held_out=(str(folder),))
    assert examples(given).training
    path = tmp_path / "candidates.jsonl"
    path.write_text(
        path.read_text().replace("which one is about the sea is blue", "TERM1  common", 1)
    )
    again = given.model_copy(update={"candidates": str(path)})
    path.write_text(path.read_text())
    with pytest.raises(InputError, match=r"query 'q0' is query 'q1' of .*held out"):
        examples(again)
