"""Which weights of a model learn, at which rate, and which are worth keeping.

Law: names say what a weight is: transformers calls layers by number, and what is new by `HEADS`.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from rerank.errors import InputError
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

    What has a rate of 0 is told to stay, and in a `sparse` training each number that is 0.
    """
    groups: dict[tuple[float, bool], list[Any]] = {}
    unused = set(recipe.rates)
    for full, weights in model.named_parameters():
        name = full.removeprefix(ADAPTED)
        if weights.requires_grad:
            unused -= {part for part in unused if part in name}
        rate = _rate(name, recipe)
        if rate == 0:
            weights.requires_grad_(False)
        elif weights.requires_grad:
            groups.setdefault((rate, weights.ndim > 1), []).append(weights)
            if recipe.sparse:
                weights.register_hook((weights.detach() != 0).to(weights.dtype).mul)
    _refuse_idle(unused, groups, [name for name, _ in model.named_parameters()])
    return [
        {
            "params": weights,
            "weight_decay": recipe.decay if wide else 0.0,
            "times": rate / recipe.rate,
        }
        for (rate, wide), weights in groups.items()
    ]


def _refuse_idle(unused: Collection[str], groups: Collection[Any], names: Sequence[str]) -> None:
    """Raise `InputError` for a rate that no weight gets, and where nothing would learn."""
    if unused:
        some = dict.fromkeys([names[0], names[len(names) // 2], names[-1]])
        raise InputError(
            f"key 'rates': no weight that learns has {min(unused)!r} in its name; some names:"
            f" {', '.join(some)}"
        )
    if not groups:
        raise InputError("every weight is kept, so nothing would learn: see keys 'rates', 'frozen'")


def better(measured: Mapping[str, float], best: Best | None, measure: str) -> bool:
    """Whether these figures beat the best; what was shuffled counts, where it was measured."""
    return best is None or decisive(measured, measure) > best.value


def decisive(measured: Mapping[str, float], measure: str) -> float:
    return measured.get(f"{measure} shuffled", measured[measure])


def _rate(name: str, recipe: TrainRecipe) -> float:
    """What the first of the recipe's `rates` that names the weight says, else what its place does.

    The `frozen` lowest layers and the embeddings below them have a rate of 0.
    """
    for part, rate in recipe.rates.items():
        if part in name:
            return rate
    if name.startswith(HEADS):
        return recipe.head_rate or recipe.rate
    layer = LAYER.search(name)
    stays = int(layer[1]) < recipe.frozen if layer else recipe.frozen > 0 and "embed" in name
    return 0.0 if stays else recipe.rate
