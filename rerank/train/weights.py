"""Which weights of a model learn, at which rate, and which are worth keeping.

Law: names say what a weight is: transformers calls layers by number, and what is new by `HEADS`.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from rerank.train.recipes import TrainRecipe

HEADS = ("match.", "classifier.", "score.", "head.")
"""What a head's weights are called; they may learn at a rate of their own."""

ADAPTED = "base_model.model."
"""What peft puts before the name of every weight."""

LAYER = re.compile(r"(?:^|\.)(?:layers?|h|block)\.(\d+)\.")


class Best(NamedTuple):
    """The weights that measured best so far."""

    value: float
    step: int
    measured: dict[str, float]
    model: dict[str, Any]


def learning(model: Any, recipe: TrainRecipe) -> list[dict[str, Any]]:
    """Groups for the optimiser; `times` is by what the recipe's rate is multiplied for each.

    The recipe's `frozen` lowest layers and the embeddings below them are told to stay.
    """
    groups: dict[tuple[bool, bool], list[Any]] = {}
    for full, weights in model.named_parameters():
        name = full.removeprefix(ADAPTED)
        if recipe.frozen and _stays(name, recipe.frozen):
            weights.requires_grad_(False)
        elif weights.requires_grad:
            key = name.startswith(HEADS), weights.ndim > 1
            groups.setdefault(key, []).append(weights)
    times = (recipe.head_rate or recipe.rate) / recipe.rate
    return [
        {
            "params": weights,
            "weight_decay": recipe.decay if wide else 0.0,
            "times": times if new else 1.0,
        }
        for (new, wide), weights in groups.items()
    ]


def better(measured: Mapping[str, float], best: Best | None, measure: str) -> bool:
    """Whether these figures beat the best; what was shuffled counts, where it was measured."""
    return best is None or decisive(measured, measure) > best.value


def decisive(measured: Mapping[str, float], measure: str) -> float:
    return measured.get(f"{measure} shuffled", measured[measure])


def _stays(name: str, frozen: int) -> bool:
    if name.startswith(HEADS):
        return False
    layer = LAYER.search(name)
    return int(layer[1]) < frozen if layer else "embed" in name
