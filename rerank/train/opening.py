"""Which kind of student a recipe's prompt makes of a model."""

from rerank.engines.checkpoints import Files
from rerank.prompts import read_prompt
from rerank.questions import Compare, Rate
from rerank.train import adapters
from rerank.train.duo import ComparingStudent
from rerank.train.picking import PickingStudent
from rerank.train.recipes import TrainRecipe
from rerank.train.students import ListStudent, PairStudent, RatingStudent, Student
from rerank.wants import Pair


def open_student(recipe: TrainRecipe) -> Student:
    """Load the model that a recipe starts from, as its prompt says what it is."""
    prompt = read_prompt(recipe.prompt).with_sampling(max_tokens=recipe.max_tokens)
    Files(recipe.model, recipe.revision).torch.manual_seed(recipe.seed)  # a new head is of chance
    if recipe.objective == "grpo":
        kind: type[Student] = PickingStudent
    elif prompt.reader.wants is Pair:
        kind = PairStudent
    else:
        kind = {Rate: RatingStudent, Compare: ComparingStudent}.get(prompt.asks, ListStudent)
    student = kind(recipe, prompt)
    if recipe.lora:
        adapters.adapt(student.loaded, recipe.lora)
    return student
