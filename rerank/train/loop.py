"""Steps, from a recipe to a folder with a model: AdamW, warm-up, clipping, checkpoints.

Law: a step depends on the weights, the optimiser's state, the recipe and the number of the step
alone, chance included. So a training that was killed goes on from its checkpoint to the weights
that it would have had. `train.jsonl` has a line for each step and each validation.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from hashlib import sha256
from itertools import chain
from math import cos, isfinite, pi
from pathlib import Path
from typing import Any

from rerank.errors import EngineError, InputError
from rerank.train.data import Examples, checks, examples
from rerank.train.lessons import Lesson, lessons
from rerank.train.losses import mean_loss
from rerank.train.opening import open_students
from rerank.train.recipes import TrainRecipe
from rerank.train.students import Student
from rerank.train.validation import MEASURE, measured
from rerank.train.weights import Best, better, decisive, learning

LOG = logging.getLogger(__name__)

LINES, STATE, RESULT = "train.jsonl", "checkpoint.pt", "training.json"

Progress = Callable[[str, int, int], None]
"""Called with a name, the steps done, and all steps."""


def train(
    recipe: TrainRecipe, folder: Path, progress: Progress = lambda name, done, all: None
) -> dict[str, Any]:
    """Train, and return what training.json says; the same call again resumes, or does nothing."""
    found = examples(recipe.data)
    made_of = _digest(recipe, found)
    if done := _finished(folder, made_of):
        return done
    folder.mkdir(parents=True, exist_ok=True)
    training = Training(recipe, found, folder, made_of)
    training.resume()
    training.start()
    while training.step < recipe.steps:
        training.advance()
        progress(folder.name, training.step, recipe.steps)
    return training.finish()


class Training:
    """A student on its way: weights, optimiser and the number of steps done."""

    def __init__(self, recipe: TrainRecipe, found: Examples, folder: Path, made_of: str) -> None:
        self.recipe, self.examples, self.folder, self.made_of = recipe, found, folder, made_of
        self._checks = checks(recipe.data)
        self.students = open_students(recipe)
        self.student: Student = self.students[0]
        self.loaded, self.torch = self.student.loaded, self.student.loaded.torch
        groups = learning(self.loaded.model, recipe)
        self._weights = [weights for group in groups for weights in group["params"]]
        fused = self.loaded.device != "cpu" or None
        self._optimiser = self.torch.optim.AdamW(groups, lr=recipe.rate, fused=fused)
        self.step, self.seconds = 0, 0.0
        self._lessons: Iterator[Lesson] = iter(())
        self._unsaid: dict[str, Any] = {}
        self._clock = 0.0
        self.measured: dict[str, float] = {}
        self.best: Best | None = None

    def resume(self) -> None:
        """Go on from the checkpoint, or measure the model as it is and begin."""
        path = self.folder / STATE
        if not path.is_file():
            (self.folder / LINES).unlink(missing_ok=True)
            self._note({"step": 0, "validation": self._measure()})
            return
        state = self.torch.load(path, map_location=self.loaded.device, weights_only=True)
        if state["made_of"] != self.made_of:
            raise InputError.at(
                path, None, "of another recipe or other data; remove it, or its folder"
            )
        self.loaded.model.load_state_dict(state["model"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.student.tokens, self.measured = state["tokens"], state["measured"]
        self.best = Best(*state["best"]) if state["best"] else None
        self._forget_later_lines()
        LOG.info("%s: going on from step %d", self.folder, self.step)

    def start(self) -> None:
        """Begin to read what the steps to come have."""
        found = self.examples.training
        self._lessons = iter(lessons(self.recipe, found, self.students, self.step))
        self._clock = time.perf_counter()

    @property
    def tokens(self) -> int:
        return sum(student.tokens for student in self.students)

    def advance(self) -> None:
        """One step; a validation and a checkpoint where they are due."""
        rate = rate_at(self.recipe, self.step)
        try:
            loss = self._learn(rate)
        except self.torch.OutOfMemoryError:
            what = "at_once, data.docs or data.words"
            raise EngineError(f"the GPU's memory is full; lower {what}") from None
        self.step += 1
        self._say()
        self._unsaid = {"step": self.step, "loss": loss, "rate": rate, "tokens": self.tokens}
        if self._due(self.recipe.measure_every):
            self._say()
            self._note({"step": self.step, "validation": self._measure()})
            LOG.info("step %d: %s", self.step, _said(self.measured))
            self._clock = time.perf_counter()
        if self._due(self.recipe.save_every):
            self._say()
            self._keep()
            self._clock = time.perf_counter()

    def _due(self, every: int) -> bool:
        return self.step == self.recipe.steps or self.step % every == 0

    def finish(self) -> dict[str, Any]:
        """Write the model and training.json; the checkpoint is not needed any more."""
        kept = self.step
        if self.best:
            self.loaded.model.load_state_dict(self.best.model)
            kept, self.measured = self.best.step, self.best.measured
        self.student.save(str(self.folder))
        result = {
            "recipe": self.recipe.model_dump(mode="json"),
            "made_of": self.made_of,
            "queries": {"trained": len(self.examples.training),
                        "validated": sum(map(len, self._checks.values()))
                        or len(self.examples.validation)},
            "tokens": self.tokens,
            "seconds": round(self.seconds, 1),
            "device": self.loaded.device,
            "validation": self.measured,
            "kept": kept,
        }  # fmt: skip
        text = json.dumps(result, indent=2, sort_keys=True, ensure_ascii=False)
        (self.folder / RESULT).write_text(f"{text}\n", encoding="utf-8")
        (self.folder / STATE).unlink(missing_ok=True)
        return result

    def _learn(self, rate: float) -> Any:
        """Gradients of the step's queries, a few at a time, then one move of the weights."""
        recipe, model = self.recipe, self.loaded.model.train()
        self.torch.manual_seed(1_000_003 * recipe.seed + self.step)
        total: Any = 0.0
        self._optimiser.zero_grad()
        for part in next(self._lessons):
            share = len(part.examples) / recipe.batch / len(self.students)
            for student, read in zip(self.students, part.read, strict=True):
                with self._computing():
                    outputs = student.said(part.examples, read)
                loss = mean_loss(recipe, outputs, part.examples, self.step, self.loaded) * share
                loss.backward()
                total = total + loss.detach()
        self.torch.nn.utils.clip_grad_norm_(self._weights, recipe.clip)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["times"]
        self._optimiser.step()
        model.eval()
        return total

    def _say(self) -> None:
        """Write the line that is due. A GPU is at work on the step after: it is not waited for."""
        line, self._unsaid = self._unsaid, {}
        if not line:
            return
        line["loss"] = float(line["loss"])
        now = time.perf_counter()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        if not isfinite(line["loss"]):
            raise EngineError(f"the loss is not a number at step {line['step']}; lower rate")
        self._note(line | {"seconds": round(self.seconds, 3)})

    def _computing(self) -> Any:
        if self.recipe.dtype == "float32":
            return nullcontext()
        return self.torch.autocast(self.loaded.device.split(":")[0], self.torch.bfloat16)

    def _measure(self) -> dict[str, float]:
        """Validate, and remember the weights if they are the best so far."""
        spent = self.student.tokens
        self.loaded.model.eval()
        with self.loaded.computing():
            found = measured(self.student, self._checks, self.examples.validation)
        self.student.tokens, self.measured = spent, found
        if self.recipe.keep == "best" and better(found, self.best, MEASURE):
            model = {key: held.clone() for key, held in self.loaded.model.state_dict().items()}
            self.best = Best(decisive(found, MEASURE), self.step, found, model)
        return found

    def _keep(self) -> None:
        """Write the checkpoint beside the last one, then in its place."""
        part = self.folder / f"{STATE}.part"
        state = {
            "made_of": self.made_of,
            "step": self.step,
            "seconds": self.seconds,
            "tokens": self.tokens,
            "measured": self.measured,
            "best": tuple(self.best) if self.best else None,
            "model": self.loaded.model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        self.torch.save(state, part)
        part.replace(self.folder / STATE)

    def _note(self, line: dict[str, Any]) -> None:
        with (self.folder / LINES).open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")

    def _forget_later_lines(self) -> None:
        """What was done after the checkpoint is done again."""
        path = self.folder / LINES
        lines = path.read_text("utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        path.write_text("".join(x for x in whole if json.loads(x)["step"] <= self.step), "utf-8")


def rate_at(recipe: TrainRecipe, step: int) -> float:
    """The learning rate of a step from 0: a straight rise, then a cosine to 0."""
    rising = recipe.warmup * recipe.steps
    if step < rising:
        return recipe.rate * (step + 1) / (rising + 1)
    return recipe.rate * (1 + cos(pi * (step - rising) / (recipe.steps - rising))) / 2


def _digest(recipe: TrainRecipe, found: Examples) -> str:
    """What decides the weights, but for the model's own files."""
    keys = recipe.model_dump(mode="json", exclude={"measure_every", "save_every", "workers"})
    digest = sha256(repr(keys).encode())
    for example in chain(*found):
        digest.update(repr(example).encode())
    return digest.hexdigest()[:16]


def _finished(folder: Path, made_of: str) -> dict[str, Any]:
    """What a training that is over says; one of another recipe or other data is refused."""
    path = folder / RESULT
    if not path.is_file():
        return {}
    result: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if result["made_of"] != made_of:
        raise InputError.at(path, None, "of another recipe or other data; choose another folder")
    return result


def _said(measured: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in measured.items())
