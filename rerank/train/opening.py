"""Which kind of student a recipe's prompt makes of a model."""

from typing import Any

from rerank.engines.models.checkpoints import Files
from rerank.prompts import read_prompt
from rerank.questions import Compare, Rate
from rerank.train import adapters
from rerank.train.duo import ComparingStudent
from rerank.train.picking import PickingStudent
from rerank.train.recipes import TrainRecipe
from rerank.train.students import ListStudent, PairStudent, RatingStudent, Student
from rerank.wants import Pair


def open_students(recipe: TrainRecipe) -> list[Student]:
    """Load the model that a recipe starts from, once for all the ways in which it is asked."""
    Files(recipe.model, recipe.revision).torch.manual_seed(recipe.seed)  # a new head is of chance
    student = _student(recipe, recipe.prompt)
    if recipe.lora:
        adapters.adapt(student.loaded, recipe.lora)
    return [student, *(_student(recipe, prompt, loaded=student.loaded) for prompt in recipe.also)]


def open_student(recipe: TrainRecipe) -> Student:
    """The first of them, which validation is by."""
    return open_students(recipe)[0]


def _student(recipe: TrainRecipe, name: str, **shared: Any) -> Student:
    """The kind that a prompt makes of a model."""
    prompt = read_prompt(name).with_sampling(max_tokens=recipe.max_tokens)
    if recipe.objective == "grpo":
        kind: type[Student] = PickingStudent
    elif prompt.reader.wants is Pair:
        kind = PairStudent
    else:
        kind = {Rate: RatingStudent, Compare: ComparingStudent}.get(prompt.asks, ListStudent)
    return kind(recipe, prompt, **shared)
