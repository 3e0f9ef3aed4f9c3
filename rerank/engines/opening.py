"""Open an engine by name. What it needs is imported only then."""

import importlib
import inspect
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from rerank.engines import Engine
from rerank.errors import UsageError
from rerank.wants import Logits, Pair, Want

ENGINES: dict[str, str] = {
    "vllm": "rerank.engines.vllm:VLLM",
    "http": "rerank.engines.http:HTTP",
    "transformers": "rerank.engines.transformers:Transformers",
    "scorer": "rerank.engines.scorer:Scorer",
}


def choose(wants: type[Want], base_url: str | None) -> str:
    """The engine for what is wanted: a server if one is named, else the fastest installed."""
    if base_url:
        return "http"
    if wants is Pair:
        return "scorer"
    return "vllm" if find_spec("vllm") and wants is not Logits else "transformers"


def open_engine(name: str, model: str, options: Mapping[str, Any]) -> Engine:
    """Load `model` in the engine of that name; an option that it does not take is a UsageError."""
    module, _, kind = ENGINES[name].partition(":")
    engine = getattr(importlib.import_module(module), kind)
    parameters = inspect.signature(engine).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for option in options:
        if option not in parameters and not takes_any:
            known = ", ".join(name for name in parameters if name != "model")
            raise UsageError(f"engine {name} has no option {option!r}; it takes: {known}")
    return engine(model, **options)  # type: ignore[no-any-return]
