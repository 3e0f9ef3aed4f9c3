"""What is wrong with a value, in words that whoever wrote it knows: a list, a table, a number.

pydantic finds the mistakes and names types of Python's. Here is the only place where its findings
become text. No value is repeated, since it may be a secret or a document.
"""

import json
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, NamedTuple, TypeAlias

import pydantic
from pydantic_core import ErrorDetails

FINITE = pydantic.ConfigDict(allow_inf_nan=False)
"""How an option is checked that stands in no table: no number is infinite, no time limit either."""

WORDS = {
    "missing": "is missing",
    "string_type": "it should be a string",
    "int_type": "it should be a whole number",
    "int_from_float": "it should be a whole number",
    "int_parsing": "it should be a whole number",
    "float_type": "it should be a number",
    "float_parsing": "it should be a number",
    "finite_number": "it should be a finite number, not inf or nan",
    "bool_type": "it should be true or false",
    "bool_parsing": "it should be true or false",
    "list_type": "it should be a list",
    "tuple_type": "it should be a list",
    "dict_type": "it should be {table}",
    "model_type": "it should be {table}",
    "literal_error": "it should be {expected}",
    "greater_than": "it should be above {gt:g}",
    "greater_than_equal": "it should be {ge:g} or more",
    "less_than": "it should be below {lt:g}",
    "less_than_equal": "it should be {le:g} or less",
    "too_short": "it should have {min_length} or more in it, not {actual_length}",
    "string_too_short": "it should have {min_length} or more characters",
    "value_error": "{error}",
}
"""What pydantic finds, by its name for it; {table} is what JSON calls an object."""

UNKNOWN = "extra_forbidden"

TRIED = re.compile(r"(literal|list|dict|tuple|union)?\[.*\]|str|int|float|bool")
"""What pydantic puts among the keys where one of several types was tried, or a key is wrong."""


def _recorded(table: dict[str, Any]) -> dict[str, Any]:
    """A table of options that others know, if it can be written beside a run."""
    try:
        json.dumps(table, allow_nan=False)
    except (TypeError, ValueError):
        what = "strings, finite numbers, true, false, lists and tables"
        raise ValueError(f"it should hold {what}, and nothing else") from None
    return table


Table: TypeAlias = Annotated[dict[str, Any], pydantic.AfterValidator(_recorded)]


class Mistake(NamedTuple):
    """A key, with dots for what is in a table or a list, and what is wrong with it."""

    key: str
    what: str


def first_mistake(
    model: type[pydantic.BaseModel], wrong: pydantic.ValidationError, table: str = "a table"
) -> Mistake:
    """The first key that does not fit, and how many others do not."""
    mistakes = wrong.errors(include_url=False, include_input=False)
    keys = [_key(mistake) for mistake in mistakes]
    first = keys[0]
    key = max((key for key in keys if key[: len(first)] == first), key=len)
    of_it = [mistake for mistake, its in zip(mistakes, keys, strict=True) if its == key]
    others = sum(key[: len(other)] != other for other in {*keys})
    what = _unknown(model, key, of_it[0]) or said(of_it, table)
    return Mistake(".".join(map(str, key)), f"{what} (and {others} more)" if others else what)


def said(mistakes: Sequence[ErrorDetails], table: str = "a table") -> str:
    """What a value should be: any one of what the mistakes of the types that were tried ask for."""
    first, *others = dict.fromkeys(_said(mistake, table) for mistake in mistakes)
    return " or ".join([first, *(other.removeprefix("it should be ") for other in others)])


def _key(mistake: ErrorDetails) -> tuple[int | str, ...]:
    place = list(mistake["loc"])
    named = [place.pop()] if mistake["type"] == UNKNOWN else []  # it may be called anything
    return (*(part for part in place if not TRIED.fullmatch(str(part))), *named)


def _said(mistake: ErrorDetails, table: str) -> str:
    if words := WORDS.get(mistake["type"]):
        return words.format(table=table, **mistake.get("ctx", {}))
    text = mistake["msg"].replace("Input", "it", 1)
    return f"{text[:1].lower()}{text[1:]}"


def _unknown(
    model: type[pydantic.BaseModel], key: tuple[int | str, ...], mistake: ErrorDetails
) -> str:
    """That a key is unknown, and which it may be; empty if it is known."""
    if mistake["type"] != UNKNOWN:
        wrong_key = mistake["loc"][-1:] == ("[key]",)
        return f"is not a known key; {said([mistake])}" if wrong_key else ""
    for table in key[:-1]:
        inner = model.model_fields[str(table)].annotation if isinstance(table, str) else None
        if not (isinstance(inner, type) and issubclass(inner, pydantic.BaseModel)):
            return "is not a known key"
        model = inner
    return f"is not a known key{meant(str(key[-1]), model.model_fields)}"


def meant(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'this' or 'that'?` of the names that begin so, else of the one most like it.

    Empty where none is near.
    """
    names = list(known)
    like = [name for name in names if len(word) > 2 and name.startswith(word)][:3]
    like = like or get_close_matches(word, names, 1)
    return f"; did you mean {' or '.join(map(repr, like))}?" if like else ""
