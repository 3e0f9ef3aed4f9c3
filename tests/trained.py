"""What a training wrote and was worth, and a training that is killed."""

import json

from trainings import recipe

from rerank.train.data import examples
from rerank.train.objectives import ndcg
from rerank.train.opening import open_student


def lines(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def losses(folder):
    return [line["loss"] for line in lines(folder) if "loss" in line]


def falls(folder):
    found = losses(folder)
    assert len(found) == 20
    return sum(found[-4:]) < 0.97 * sum(found[:4])


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


class Killed(Exception):
    pass


def killed_after(limit, name, done, whole):
    if done == limit:
        raise Killed
