"""From a recipe's words to a number to lower: which objective, with which of its options."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from rerank.engines.models.checkpoints import Loaded
from rerank.train import objectives, writing
from rerank.train.data import Example
from rerank.train.recipes import TrainRecipe
from rerank.train.students import Output


def mean_loss(
    recipe: TrainRecipe,
    outputs: Sequence[Output],
    examples: Sequence[Example],
    step: int,
    loaded: Loaded,
) -> Any:
    """The mean over some examples; lists of scores that are equally long are looked at together."""
    tensor, objective = loaded.torch.tensor, _scored(recipe)
    if objective and len({len(e.docs) for e in examples}) == 1:
        scores = loaded.torch.stack([output.scores for output in outputs])
        targets = loaded.moved(tensor([e.targets for e in examples]))
        return loaded.torch.vmap(objective)(scores, targets).mean()
    losses = [
        loss_of(
            recipe, output, loaded.moved(tensor(e.targets)), loaded.moved(tensor(e.first)), step
        )
        for output, e in zip(outputs, examples, strict=True)
    ]
    return sum(losses[1:], losses[0]) / len(losses)


def _scored(recipe: TrainRecipe) -> Any:
    """The recipe's objective, where scores and targets are all that it needs."""
    if recipe.curriculum:
        return None
    if recipe.objective == "listnet":
        return partial(objectives.listnet, temperature=recipe.temperature)
    return objectives.SCORED.get(recipe.objective)


def loss_of(recipe: TrainRecipe, output: Output, targets: Any, first: Any, step: int) -> Any:
    """The recipe's objective on one example."""
    name, scores = recipe.objective, output.scores
    if name == "language":
        return writing.language(output.logits, output.ids)
    if name == "full-ranking":
        return writing.importance_aware(output.logits, output.ids, output.ranks)
    if name == "first":
        return writing.first(
            output.logits, output.ids, scores, targets, recipe.beside, recipe.weight
        )
    if name == "listnet":
        return objectives.listnet(scores, targets, recipe.temperature)
    if name == "policy-gradient":
        rankings = objectives.drawn(scores, recipe.draws)
        return objectives.policy_gradient(scores, targets, rankings)
    if name == "grpo":
        return writing.grpo(output.logits, output.ids, output.rewards)
    if name == "duo":
        return objectives.duo(output.pairs, targets)
    if recipe.curriculum:
        weights = _curriculum(recipe, targets, first, step)
        weighted = objectives.pairwise if name == "pairwise" else objectives.pointwise
        return weighted(scores, targets, weights)
    return objectives.SCORED[name](scores, targets)


def _curriculum(recipe: TrainRecipe, targets: Any, first: Any, step: int) -> Any:
    """What each pair or document weighs at a step."""
    assert recipe.curriculum
    easy = objectives.easiness(first, recipe.curriculum.by)
    pairs = recipe.objective == "pairwise"
    sample = objectives.easy_pairs(easy) if pairs else objectives.easy_documents(easy, targets)
    return objectives.curriculum(sample, step / recipe.curriculum.steps)
