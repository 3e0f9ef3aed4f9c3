"""What a training is made from: a recipe, read from TOML. Unknown keys are errors.

A recipe is intention only; nothing here loads a model or reads a candidate. Paths in it are seen
from the folder that the command runs in.
"""

from collections.abc import Sequence
from multiprocessing import get_all_start_methods
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from rerank import files
from rerank.errors import InputError
from rerank.files import Strict
from rerank.prompts import read_prompt
from rerank.recipes import Keys, read_changed

WRITTEN = ("language", "full-ranking", "first")
"""The objectives that have the model write the teacher's ranking."""

SCORING = ("score", "label-odds", "label-logit", "label-order", "label-weights")
"""The readers of prompts whose reply is numbers that gradients can flow through."""

OWN = {"duo": "label-preference", "grpo": "picked-label"}
"""The objectives with a kind of prompt of their own, and what reads it."""


class DataOptions(Strict):
    """Whose candidates, and who teaches.

    `candidates` is JSONL as RankLLM writes it. The teacher is `qrels` (the judgments in `file`), or
    `labels` (each candidate's `label` there), or `order` or `scores` (a TREC run in `file`; without
    one the candidates' own). A list shows `docs` of a query's candidates, the teacher's best among
    them, in an order of chance if `shuffle`. That `validation` share of the queries is not trained
    on. Queries of the collections `held_out` are refused. Where collections to
    `check` are named, validation is on their queries, over BM25's first `check_docs`, and nothing
    is kept back.
    """

    candidates: str
    teacher: Literal["qrels", "labels", "order", "scores"]
    file: str | None = None
    docs: int = pydantic.Field(20, ge=2)
    words: int | None = pydantic.Field(None, ge=1)
    shuffle: bool = True
    validation: float = pydantic.Field(0.1, gt=0, lt=1)
    held_out: tuple[str, ...] = pydantic.Field(("demo",), strict=False)
    check: tuple[str, ...] = pydantic.Field((), strict=False)
    check_docs: int = pydantic.Field(20, ge=2)


class CurriculumOptions(Strict):
    """Easy pairs and documents first, all alike from step `steps` on: `objectives.curriculum`."""

    by: Literal["reciprocal", "normalised"] = "reciprocal"
    steps: int = pydantic.Field(ge=1)


class LoraOptions(Strict):
    """Adapters of this `rank` for the linear `layers` of these names, or for all of them."""

    rank: int = pydantic.Field(16, ge=1)
    alpha: float = pydantic.Field(32, gt=0)
    dropout: float = pydantic.Field(0.0, ge=0, lt=1)
    layers: tuple[str, ...] = pydantic.Field((), strict=False)


class TrainRecipe(Strict):
    """How to make a reranker: the model to start from, the objective, the data, the steps.

    `prompt` says what the model is: `pointwise/score` a cross-encoder (any encoder or decoder gets
    a head), else a language model that is asked so. Without a `head`, a model keeps its own, and
    one that has none gets a linear one. `beside` and `weight` are FIRST's ranking loss and how much
    it counts; `temperature` is ListNet's, `draws` the policy gradient's and GRPO's. GRPO's replies
    have at most `max_tokens`; its `reward` is for a thought and then the best label as the answer,
    or for that label however it is said. A language model is asked with the prompts in `also` as
    well, each counting as much. With `lora` only low-rank adapters learn, and are merged at the
    end. A step takes `batch` queries, `at_once` of them in one forward pass; the rate rises over
    the share `warmup` of the steps and falls as a cosine to 0. `rates` has other rates by what is
    in the name of a weight, the first that fits; 0 keeps it. In a `sparse` training what is 0 stays
    0, so that a circuit learns its numbers and not its wires. `dtype` is what forward passes
    compute in; weights are float32 until they are `stored`, or `packed` into 8 bits. `workers` are
    processes that word and tokenise the steps to come: a GPU wants as many as there are cores.
    """

    model: str
    revision: str | None = None
    prompt: str = "pointwise/score"
    also: tuple[str, ...] = pydantic.Field((), strict=False)
    objective: Literal[
        "language", "full-ranking", "first", "ranknet", "listnet", "lambdarank", "pairwise",
        "pointwise", "margin-mse", "policy-gradient", "duo", "grpo",
    ]  # fmt: skip
    beside: Literal["ranknet", "listnet", "lambdarank"] = "ranknet"
    weight: float | None = pydantic.Field(None, ge=0)
    temperature: float = pydantic.Field(1.0, gt=0)
    draws: int = pydantic.Field(16, ge=2)
    reward: Literal["thought", "label"] = "thought"
    max_tokens: int | None = pydantic.Field(None, ge=1)
    lora: LoraOptions | None = None
    data: DataOptions
    curriculum: CurriculumOptions | None = None
    steps: int = pydantic.Field(1000, ge=1)
    batch: int = pydantic.Field(8, ge=1)
    at_once: int = pydantic.Field(1, ge=1)
    workers: int = pydantic.Field(0, ge=0)
    rate: float = pydantic.Field(2e-5, gt=0)
    warmup: float = pydantic.Field(0.1, ge=0, lt=1)
    decay: float = pydantic.Field(0.01, ge=0)
    clip: float = pydantic.Field(1.0, gt=0)
    seed: int = 0
    device: str = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"
    max_length: int | None = pydantic.Field(None, ge=1)
    head: Literal["linear", "matching"] | None = None
    head_rate: float | None = pydantic.Field(None, gt=0)
    frozen: int = pydantic.Field(0, ge=0)
    sparse: bool = False
    rates: dict[str, Annotated[float, pydantic.Field(ge=0)]] = pydantic.Field({})
    keep: Literal["best", "last"] = "best"
    stored: Literal["float32", "bfloat16"] = "float32"
    packed: bool = False
    measure_every: int = pydantic.Field(200, ge=1)
    save_every: int = pydantic.Field(200, ge=1)


def read_training(path: Path, changes: Sequence[str] = ()) -> TrainRecipe:
    """Read a recipe with `key=value` changes; a mistake is named by file or change, and key."""
    return read_changed(path, changes, _checked)


def _checked(raw: Keys, path: Path) -> TrainRecipe:
    recipe = files.checked(TrainRecipe, raw, path)
    if mistake := _mistake(recipe):
        raise InputError.at(path, None, mistake)
    for name in (recipe.prompt, *recipe.also):
        if mistake := misfit(recipe, name):
            raise InputError.at(path, None, mistake)
    return recipe


def _mistake(recipe: TrainRecipe) -> str:
    """What keys that are right by themselves get wrong together; empty if nothing."""
    objective, teacher = recipe.objective, recipe.data.teacher
    if recipe.workers and "fork" not in get_all_start_methods():
        return "key 'workers': this system cannot fork; leave it at 0"
    if recipe.sparse and recipe.lora:
        return "key 'sparse': adapters begin at 0 and would stay there; leave one of the two out"
    if recipe.packed and recipe.stored != "float32":
        return "key 'stored': a packed model is in 8 bits; leave one of the two out"
    if teacher == "qrels" and not recipe.data.file:
        return "key 'data.file' is missing: teacher qrels needs a file of judgments"
    if teacher == "labels" and recipe.data.file:
        return "key 'data.file': the labels are in the candidates; leave it out"
    if objective in WRITTEN and teacher not in ("order", "scores"):
        return f"objective {objective} writes an order; teacher {teacher} has equal grades in it"
    if objective == "margin-mse" and teacher != "scores":
        return f"objective margin-mse needs teacher scores, not {teacher}"
    if objective == "pointwise" and teacher not in ("qrels", "labels"):
        return f"objective pointwise needs teacher qrels or labels, not {teacher}"
    if recipe.curriculum and objective not in ("pairwise", "pointwise"):
        return f"key 'curriculum' is for objectives pairwise and pointwise, not {objective}"
    return ""


def misfit(recipe: TrainRecipe, name: str) -> str:
    """Why a prompt cannot be trained with an objective; empty if it can."""
    prompt = read_prompt(name)
    objective, reads = recipe.objective, prompt.file.reads
    if recipe.also and reads == "score":
        return f"key 'also': {name} is for a cross-encoder, which is asked in one way"
    if own := OWN.get(objective):
        fits = reads == own and not prompt.file.until
        return "" if fits else f"objective {objective} needs a prompt with reader {own}"
    if prompt.file.until or reads not in (*SCORING, "permutation"):
        return f"prompt {name} (reader {reads}) cannot be trained"
    if objective == "first" and reads != "label-order":
        return f"objective first needs a prompt with reader label-order, not {reads}"
    if objective in WRITTEN and reads not in ("permutation", "label-order"):
        return f"objective {objective} needs a prompt that asks Order, not {name}"
    if objective not in WRITTEN and reads == "permutation":
        return f"objective {objective} needs scores, and {name} has none: use FIRST's"
    return ""
