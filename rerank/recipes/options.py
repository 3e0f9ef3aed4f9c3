"""How a model samples, how an oracle errs, when a budget ends: tables that Python gives, too.

Only names and numbers, checked; what they mean is where they are used.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import pydantic

from rerank.checking import first_mistake
from rerank.errors import UsageError
from rerank.files import Strict
from rerank.recipes.stages import PartOptions

S = TypeVar("S", bound=Strict)


class Sampling(Strict):
    """How text is generated. Temperature 0 unless a recipe says otherwise; then with its seed.

    With `thinks` the model's chat template opens a thought: what comes before its end is no answer.
    """

    temperature: float = pydantic.Field(0.0, ge=0)
    seed: int = 0
    max_tokens: int | None = pydantic.Field(None, ge=1)
    thinks: bool | None = None


class OracleOptions(Strict):
    """The errors of an oracle: see `judges.Oracle`."""

    noise: float = pydantic.Field(0.0, ge=0)
    bias: float = 0.0
    seed: int = 0
    like: Literal["llama3-70b", "llama3-8b", "flan-t5-large"] | None = None


class BudgetOptions(Strict):
    """What one query may cost: see `scheduler.Budget`."""

    calls: int | None = pydantic.Field(None, ge=1)
    tokens: int | None = pydantic.Field(None, ge=1)
    seconds: float | None = pydantic.Field(None, gt=0)


def limits(given: Mapping[str, float]) -> dict[str, Any]:
    """What a budget given in Python says, checked."""
    return dict(_said_in_python(BudgetOptions, "budget", given))


def sampled(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a `sampling` given in Python says, checked."""
    return dict(_said_in_python(Sampling, "sampling", given))


def parted(given: Mapping[str, Any]) -> PartOptions:
    """What `parts` given in Python say, checked."""
    return _said_in_python(PartOptions, "parts", given)


def _said_in_python(kind: type[S], name: str, given: Mapping[str, Any]) -> S:
    try:
        return kind.model_validate(given)
    except pydantic.ValidationError as wrong:
        (key, what), known = first_mistake(kind, wrong), ", ".join(kind.model_fields)
        place = f"{name} {key}".strip()
        raise UsageError(f"{place}: {what}; it takes: {known}") from None
