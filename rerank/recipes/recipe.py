"""What a run is made from: a recipe, read from TOML. Unknown keys are errors.

A recipe is intention only; nothing here loads a model or a collection. Paths in it are seen
from the folder that the command runs in.
"""

import copy
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import pydantic

from rerank import files
from rerank.checking import Table, meant
from rerank.errors import InputError, UsageError
from rerank.files import Strict
from rerank.methods import METHODS, Method
from rerank.recipes.options import BudgetOptions, OracleOptions, Sampling
from rerank.recipes.stages import (
    RETRIEVED,
    BM25Options,
    CurOptions,
    DenseOptions,
    ExpansionOptions,
    ExtractOptions,
    FeedbackOptions,
    FusionOptions,
    LuceneOptions,
    NeighbourOptions,
    PartOptions,
    PassageOptions,
)

Keys: TypeAlias = dict[str, Any]
R = TypeVar("R")

OWN = Method("", "", "the recipe's own", "-", "-")
"""The row of a recipe that names no method."""


class Recipe(Strict):
    """How to make a run: what to rank, with which method, and who judges.

    `first` is `bm25`, `lucene`, `dense`, `hybrid`, `feedback` or `cur`, each with its table, a TREC
    run, or candidates as RankLLM writes them (.json, .jsonl); it may hold `{dataset}`. With
    `expansion` it searches for what a model wrote on the query, with `passages` among windows of
    long documents; with `extract` a reranker sees of each candidate what the query is about, with
    `parts` it rates windows of each. `method` is a row of METHODS; `strategy`, `options`, `prompt`
    and `instruction` change parts of it; a `strategy` and a `prompt` need no row. `split` names the
    judgments, where a dataset has several. `neighbours` lead an adaptive strategy to documents that
    are no candidates.
    """

    suite: str | None = None
    dataset: str | None = None
    split: str | None = None
    first: str = "bm25"
    bm25: BM25Options = BM25Options()
    lucene: LuceneOptions = LuceneOptions()
    dense: DenseOptions = DenseOptions()
    fusion: FusionOptions = FusionOptions()
    feedback: FeedbackOptions | None = None
    cur: CurOptions | None = None
    expansion: ExpansionOptions | None = None
    passages: PassageOptions | None = None
    extract: ExtractOptions | None = None
    parts: PartOptions | None = None
    neighbours: NeighbourOptions | None = None
    depth: int | None = pydantic.Field(None, ge=1)
    method: str = ""
    strategy: str | None = None
    prompt: str | None = None
    instruction: str | None = pydantic.Field(None, min_length=1)
    options: Table = pydantic.Field(default_factory=dict)
    judge: Literal["model", "oracle"] = "model"
    oracle: OracleOptions = OracleOptions()
    model: str | None = None
    engine: Literal["auto", "vllm", "http", "transformers", "scorer"] = "auto"
    engine_options: Table = pydantic.Field(default_factory=dict)
    base_url: str | None = None
    sampling: Sampling = Sampling()
    measures: tuple[str, ...] | None = pydantic.Field(None, min_length=1, strict=False)
    limit: int | None = pydantic.Field(None, ge=1)
    memo: bool = True
    budget: BudgetOptions = BudgetOptions()
    at_once: int = pydantic.Field(4096, ge=1)
    on_error: Literal["raise", "keep"] = "raise"

    @property
    def row(self) -> Method:
        """The method's row with this recipe's changes."""
        row = METHODS.get(self.method, OWN)
        return Method(
            self.strategy or row.strategy,
            self.prompt or row.prompt,
            row.paper,
            row.calls,
            row.rounds,
            {**row.options, **self.options} if not self.strategy else self.options,
            self.instruction or row.instruction,
        )

    def stage(self, first: str) -> pydantic.BaseModel:
        """The options of a first stage that has a name."""
        tables: dict[str, pydantic.BaseModel | None] = {
            "bm25": self.bm25,
            "lucene": self.lucene,
            "dense": self.dense,
            "hybrid": self.fusion,
            "feedback": self.feedback,
            "cur": self.cur,
        }
        found = tables[first]
        assert found is not None
        return found

    @property
    def retrieved(self) -> tuple[str, ...]:
        """The first stages by name that take part; none where a file brings the candidates."""
        begun = self.cur.start if self.cur else ()
        parts = {"hybrid": self.fusion.of, "feedback": ("dense",), "cur": begun}
        of = parts.get(self.first, ())
        return tuple(name for name in (self.first, *of) if name in RETRIEVED)

    @property
    def near(self) -> int:
        """How many neighbours a document has; 0 where nobody asks for them."""
        return self.neighbours.k if self.neighbours else 0

    @property
    def needs_model(self) -> bool:
        """Whether a language model answers, rather than nobody or the oracle."""
        return self.judge == "model" and self.row.strategy != "first-stage"


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe; `changes` are `key=value` with dots for tables, values as TOML or text."""
    return read_changed(path, changes, _checked)


def read_changed(path: Path, changes: Sequence[str], check: Callable[[Keys, Path], R]) -> R:
    """Read a recipe of any kind with changes, and `check` what it says.

    A mistake is an InputError where the file makes it, a UsageError where a change does.
    """
    raw = files.read_toml(path)
    blamed, complaint = "", _complaint(check, raw, path)
    for change in changes:
        before = complaint
        _set(raw, change)
        if (complaint := _complaint(check, raw, path)) != before:
            blamed = change
    if blamed and complaint:
        raise UsageError(f"--set {blamed!r}: {complaint}")
    return check(raw, path)


def changed(keys: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """A recipe's keys with `key=value` changes; what was given stays as it was."""
    found = copy.deepcopy(dict(keys))
    for change in changes:
        _set(found, change)
    return found


def _checked(raw: Keys, path: Path) -> Recipe:
    recipe = files.checked(Recipe, raw, path)
    if mistake := _mistake(recipe):
        raise InputError.at(path, None, mistake)
    return recipe


def _complaint(check: Callable[[Keys, Path], object], raw: Keys, path: Path) -> str:
    """The line that says what is wrong; empty if nothing."""
    try:
        check(raw, path)
    except InputError as mistake:
        return str(mistake)
    return ""


def _mistake(recipe: Recipe) -> str:
    """What keys that are right by themselves get wrong together; empty if nothing."""
    parts = (
        *(_of_the_method, _of_the_names, _of_the_first_stage, _of_the_fusion),
        *(_of_the_documents, _of_the_model),
    )
    return next(filter(None, (part(recipe) for part in parts)), "")


def _of_the_method(recipe: Recipe) -> str:
    if not (recipe.method or recipe.strategy):
        return "key 'method' is missing: a row of `rerank methods` (or give a 'strategy')"
    if recipe.method and recipe.method not in METHODS:
        near = meant(recipe.method, METHODS) or ";"
        return f"key 'method': no method {recipe.method!r}{near} `rerank methods` lists them all"
    if "neighbours" in recipe.options:
        return "key 'options': 'neighbours' is no option but a key of the recipe's own"
    return ""


def _of_the_names(recipe: Recipe) -> str:
    """That a first stage is none and no file is called so. A path may be written later."""
    named = [("first", recipe.first)]
    named += [("fusion.of", name) for name in recipe.fusion.of if recipe.first == "hybrid"]
    for key, name in named:
        if name in RETRIEVED or any(mark in name for mark in "./\\{") or Path(name).exists():
            continue
        there = f"no such file, and no first stage of that name: {', '.join(RETRIEVED)}"
        return f"key {key!r}: {name}: {there}{meant(name, RETRIEVED)}"
    return ""


def _of_the_first_stage(recipe: Recipe) -> str:
    if recipe.suite and recipe.dataset:
        return "give a suite or a dataset, not both"
    if not (recipe.suite or recipe.dataset) and recipe.first in RETRIEVED:
        return "give a suite, a dataset, or candidates as 'first'"
    if "feedback" in (recipe.first, *recipe.fusion.of) and not recipe.feedback:
        return "key 'feedback' is missing: give the run that teaches as feedback.order"
    if "cur" in (recipe.first, *recipe.fusion.of) and not recipe.cur:
        return "key 'cur' is missing: give the model that rates as cur.model"
    if recipe.expansion and recipe.first not in RETRIEVED:
        return "key 'expansion': first is a file, and nothing is searched"
    if recipe.first in ("feedback", "cur") and recipe.expansion:
        return f"give a first stage by {recipe.first} or an expansion, not both"
    if recipe.first in ("feedback", "cur") and recipe.passages:
        return f"give a first stage by {recipe.first} or passages, not both"
    return ""


def _of_the_fusion(recipe: Recipe) -> str:
    if recipe.first == "hybrid" and "hybrid" in recipe.fusion.of:
        return "key 'fusion.of': hybrid cannot be a part of itself"
    if recipe.fusion.weights and len(recipe.fusion.weights) != len(recipe.fusion.of):
        return "key 'fusion.weights': give a number for each part of fusion.of"
    if recipe.fusion.weights and recipe.fusion.train:
        return "give fusion.weights or fusion.train, not both"
    return ""


def _of_the_documents(recipe: Recipe) -> str:
    if recipe.neighbours and recipe.extract:
        return "give neighbours or extract, not both: of a neighbour no part is chosen"
    if recipe.parts and recipe.judge == "oracle":
        return "give parts or an oracle, not both: only whole documents are judged"
    if recipe.extract and recipe.extract.tokens and not recipe.model:
        return "key 'extract.tokens': they are the model's, and no model is named; give words"
    if recipe.neighbours and not (recipe.suite or recipe.dataset):
        return "key 'neighbours': they are found in a corpus; give a dataset or a suite"
    return ""


def _of_the_model(recipe: Recipe) -> str:
    if recipe.needs_model and not recipe.model:
        return "key 'model' is missing (or set judge = \"oracle\")"
    if recipe.needs_model and not recipe.row.prompt:
        return f"key 'prompt' is missing: strategy {recipe.row.strategy} asks the model"
    if recipe.base_url and recipe.engine not in ("auto", "http"):
        return f"key 'base_url' is for engine http, not {recipe.engine}"
    if recipe.engine == "http" and not recipe.base_url:
        return "key 'base_url' is missing: engine http needs the server's address"
    return ""


def _set(raw: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {change!r}: write key=value")
    *tables, last = key.strip().split(".")
    for table in tables:
        raw = raw.setdefault(table, {})
        if not isinstance(raw, dict):
            raise UsageError(f"--set {change!r}: {table!r} is not a table")
    try:
        raw[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raw[last] = text
