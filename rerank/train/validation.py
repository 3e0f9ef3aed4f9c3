"""How well a student ranks now: nDCG@10, on queries kept back or on collections that are named."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from rerank.evaluate import evaluate
from rerank.train.data import Example, grades, head, shown
from rerank.train.recipes import TrainRecipe
from rerank.train.students import Student

MEASURE = "ndcg@10"


def measured(
    student: Student, sets: Mapping[str, list[Example]], kept_back: list[Example]
) -> dict[str, float]:
    """The first stage's, the model's, and the model's with the candidates shuffled where it sees
    them together; over collections the mean, and each one's."""
    if not sets:
        return _on(student, kept_back)
    each = {name: _on(student, asked) for name, asked in sets.items()}
    means = {key: fmean(of[key] for of in each.values()) for key in next(iter(each.values()))}
    return means | {f"{MEASURE} {name}": each[name][MEASURE] for name in each}


def _on(student: Student, asked: list[Example]) -> dict[str, float]:
    recipe = student.recipe
    count = recipe.data.check_docs if recipe.data.check else recipe.data.docs
    given = [head(example, count) for example in asked]
    found = {"first": _ndcg(recipe, given, [list(range(len(e.docs))) for e in given])}
    found[MEASURE] = _ndcg(recipe, given, student.orders(given))
    if student.lists:
        shuffled = [shown(e, len(e.docs), True, f"{recipe.seed} validation") for e in given]
        orders = student.orders(shuffled)
        found[f"{MEASURE} shuffled"] = _ndcg(recipe, shuffled, orders)
    return found


def _ndcg(recipe: TrainRecipe, asked: list[Example], orders: Sequence[list[int]]) -> float:
    graded = bool(recipe.data.check) or recipe.data.teacher in ("qrels", "labels")
    qrels = {example.query.id: grades(example, graded) for example in asked}
    run = {
        example.query.id: {example.docs[place].id: float(-rank) for rank, place in enumerate(order)}
        for example, order in zip(asked, orders, strict=True)
    }
    return evaluate(qrels, run, [MEASURE]).mean[MEASURE]
