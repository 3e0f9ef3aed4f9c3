"""What a reranker will be made of, decided before a model loads.

A method's row with the changes that its caller wants, the prompt that it asks with, and the engine
that answers. Whatever cannot work is a `UsageError` here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rerank.checking import meant
from rerank.cost import strategy_of
from rerank.engines.opening import ENGINES, choose, refuse_unserved
from rerank.errors import UsageError
from rerank.library.automatic import choose_method
from rerank.methods import METHODS, Method
from rerank.prompts import Prompt
from rerank.questions import Rate
from rerank.recipes.options import parted, sampled
from rerank.retrieve.sentences import parts_of
from rerank.strategies import Strategy
from rerank.strategies.parts import Parts


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller says of a method; None and "auto" leave it open."""

    model: str
    method: str
    strategy: str | None
    prompt: str | None
    instruction: str | None
    options: Mapping[str, Any] | None
    sampling: Mapping[str, Any] | None
    parts: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Served:
    """By whom: the engine, or a server; `options` are the engine's own."""

    engine: str
    base_url: str | None
    api_key: str | None
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """`why` says why the method fits, where it was chosen; `settings` are the engine's."""

    method: str
    why: str
    row: Method
    strategy: Strategy
    prompt: Prompt
    engine: str
    settings: dict[str, Any]


def planned(wanted: Wanted, by: Served) -> Plan:
    """Fill in what is open."""
    _refuse_engine(by.engine, by.base_url)
    method, why, needed = wanted.method, "", dict[str, Any]()
    if method == "auto" and wanted.strategy is None:
        method, why, needed = choose_method(wanted.model, by.base_url)
    row = _row(method, wanted)
    strategy, prompt = strategy_of(row)
    if prompt is None:
        raise UsageError(
            f"strategy {wanted.strategy} needs a prompt to ask with"
            if wanted.strategy
            else f"method {method} asks nothing, so it needs no reranker"
        )
    if wanted.parts is not None:
        row = replace(row, parts=_parts(wanted.parts, prompt))
    prompt = prompt.with_sampling(**sampled(wanted.sampling or {}))
    engine = _engine(by, prompt)
    server = {"base_url": by.base_url, "api_key": by.api_key} if engine == "http" else {}
    settings = {**server, **needed, **by.options}
    return Plan(wanted.strategy or method, why, row, strategy, prompt, engine, settings)


def _refuse_engine(engine: str, base_url: str | None) -> None:
    if engine not in ("auto", *ENGINES):
        raise UsageError(f"no engine {engine!r}; there are: auto, {', '.join(ENGINES)}")
    if base_url and engine not in ("auto", "http"):
        raise UsageError(f"base_url is for engine http, not {engine}")
    if engine == "http" and not base_url:
        raise UsageError("engine http needs a base_url, the server's address")


def _engine(by: Served, prompt: Prompt) -> str:
    """The engine that is named, or the one that fits; it serves what the prompt wants."""
    wants = prompt.reader.wants
    engine = choose(wants, by.base_url) if by.engine == "auto" else by.engine
    refuse_unserved(engine, wants, prompt.name)
    return engine


def _parts(given: Mapping[str, Any], prompt: Prompt) -> Parts:
    """How documents are taken apart, for a prompt that has them rated one by one."""
    if prompt.asks is not Rate:
        raise UsageError(
            f"parts are rated one by one, and prompt {prompt.name} asks for"
            f" {prompt.asks.__name__}; take a pointwise method"
        )
    return parts_of(parted(given))


def _row(method: str, wanted: Wanted) -> Method:
    """The method's row with the changes that are wanted; a strategy of one's own needs no row."""
    strategy, prompt, options = wanted.strategy, wanted.prompt, wanted.options or {}
    said = wanted.instruction or ""
    if strategy and method == "auto":
        return Method(strategy, prompt or "", "", "", "", dict(options), said)
    if method not in METHODS:
        near = meant(method, ["auto", *METHODS]) or "; auto takes one that fits, and"
        raise UsageError(f"no method {method!r}{near} `rerank methods` lists them all")
    row = METHODS[method]
    changed = options if strategy else {**row.options, **options}
    return Method(
        strategy or row.strategy, prompt or row.prompt, row.paper, row.calls, row.rounds,
        dict(changed), said or row.instruction,
    )  # fmt: skip
