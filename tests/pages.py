"""Writes the pages of the documentation that the code knows best: `python tests/pages.py`."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rerank.library.ranking import Hit, Issue, Ranking
from rerank.library.reranker import Reranker
from rerank.methods import METHODS
from rerank.prompts.file import PromptFile
from rerank.readers import READERS
from rerank.recipes import Recipe
from rerank.recipes.suites import Suite
from rerank.train.pseudo import PseudoRecipe
from rerank.train.recipes import TrainRecipe

DOCS = Path(__file__).resolve().parents[1] / "docs"


def methods() -> str:
    """The table of methods, grouped by what they ask."""
    lines = [
        "# Methods",
        "",
        "A method is a strategy, a wording and its options, under the name of a paper. Calls and",
        "rounds are for N candidates, k wanted, w = window, s = stride, c = children; a round is a",
        "wait. `rerank methods` prints the same.",
    ]
    for kind in ("pointwise", "pairwise", "setwise", "listwise"):
        rows = [(n, m) for n, m in METHODS.items() if m.prompt.startswith(f"{kind}/")]
        cells = [(f"`{n}`", m.strategy, m.prompt, m.calls, m.rounds, m.paper) for n, m in rows]
        lines += ["", f"## {kind.capitalize()}", ""]
        lines += ["| method | strategy | prompt | calls | rounds | paper |", f"|{' - |' * 6}"]
        lines += [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([*lines, ""])


def api() -> str:
    """What can be imported from `rerank`, as its docstrings say."""
    lines = ["# API", "", "Everything here is imported from `rerank`.", ""]
    own = ("rerank", "arerank", "rerank_many", "astream", "estimate", "close")
    lines += _described(Reranker, own)
    for kind in (Ranking, Hit, Issue):
        lines += _described(kind)
    return "\n".join(lines)


def keys() -> str:
    """Every key of a recipe, a prompt and a suite, with its type and what it is where none says."""
    prompt, suite = ("Every key of a prompt", PromptFile), ("Every key of a suite", Suite)
    pages = (_keys("Every key of a recipe", Recipe), _keys(*prompt), _readers(), _keys(*suite))
    return "\n".join(line for page in pages for line in page)


def _readers() -> list[str]:
    """What a prompt's `reads` may be."""
    rows = [
        f"| `{name}` | {reader.asks.__name__} | {reader.wants.__name__} | {_first(reader.read)} |"
        for name, reader in READERS.items()
    ]
    head = ["| reads | asks | wants | what it reads |", "| - | - | - | - |"]
    return ["## Readers", "", *head, *rows, ""]


def _first(what: object) -> str:
    return (inspect.getdoc(what) or "").splitlines()[0]


def training() -> str:
    """The same of what `rerank train` and `rerank pseudo` read."""
    taught = _keys("Every key of a training recipe", TrainRecipe)
    return "\n".join([*taught, *_keys("Every key of a recipe of pseudo-queries", PseudoRecipe)])


def _keys(title: str, kind: type[BaseModel]) -> list[str]:
    return [f"# {title}", "", inspect.getdoc(kind) or "", "", *_rows(kind), *_sections(kind)]


def _sections(kind: type[BaseModel], above: str = "") -> list[str]:
    """A section for each table in a table, and for the tables in those."""
    lines: list[str] = []
    for name, field in kind.model_fields.items():
        for table in _tables(field.annotation):
            head = (
                f"[[{above}{name}]]"
                if get_origin(field.annotation) is tuple
                else f"[{above}{name}]"
            )
            lines += [f"## {head}", "", inspect.getdoc(table) or "", "", *_rows(table)]
            lines += _sections(table, f"{above}{name}.")
    return lines


def _rows(table: type[BaseModel]) -> list[str]:
    head = ["| key | type | default |", "| - | - | - |"]
    rows = [
        f"| `{field.alias or name}` | {_typed(field.annotation)} | {_default(field)} |"
        for name, field in table.model_fields.items()
    ]
    return [*head, *rows, ""]


def _tables(kind: object) -> list[type[BaseModel]]:
    kinds = get_args(kind) or (kind,)
    return [one for one in kinds if inspect.isclass(one) and issubclass(one, BaseModel)]


PLAIN = {
    "typing.": "",
    "Literal": "one of ",
    " | None": "",
    "tuple[str, ...]": "list of str",
    "tuple[float, ...]": "list of float",
    "list[str]": "list of str",
}


def _typed(kind: object) -> str:
    if _tables(kind) or get_origin(kind) is dict:
        return "tables" if get_origin(kind) is tuple else "a table"
    given = [each for each in get_args(kind) if each is not NoneType]
    if NoneType in get_args(kind) and len(given) == 1:
        return _typed(given[0])
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(map(_typed, given))
    named = kind.__name__ if inspect.isclass(kind) and not get_args(kind) else str(kind)
    for python, plain in PLAIN.items():
        named = named.replace(python, plain)
    return named.replace("|", "or")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    return "" if value in (None, "", {}, (), []) or isinstance(value, BaseModel) else f"`{value}`"


def _described(kind: type, methods: Sequence[str] = ()) -> list[str]:
    lines = [f"## {kind.__name__}", "", *_signed(kind.__name__, kind), *_said(kind)]
    for name in methods:
        method = getattr(kind, name)
        lines += [f"### {name}", "", *_signed(name, method), *_said(method)]
    return lines


def _signed(name: str, what: object) -> list[str]:
    parameters = [one for one in inspect.signature(what).parameters.values() if one.name != "self"]
    plain = [_plain(str(one)) for one in parameters]
    if named := [one for one in parameters if one.kind is one.KEYWORD_ONLY]:
        plain.insert(len(parameters) - len(named), "*")
    if not plain:
        return ["```text", f"{name}()", "```", ""]
    return ["```text", f"{name}(", *(f"    {one}," for one in plain), ")", "```", ""]


def _plain(parameter: str) -> str:
    for module in ("collections.abc.", "rerank.calibration.file.", "rerank.records.",
                   "rerank.library.ranking.", "pathlib.", "typing."):  # fmt: skip
        parameter = parameter.replace(module, "")
    return parameter.replace("'", '"')


def _said(what: object) -> list[str]:
    return [inspect.getdoc(what) or "", ""]


PAGES = {"methods.md": methods, "api.md": api, "keys.md": keys, "training.md": training}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
