"""Every strategy, by the name that a recipe calls it. A strategy sorts anything by asking."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from rerank.questions import Asking
from rerank.strategies.active import active
from rerank.strategies.adaptive import adaptive_rating, adaptive_window
from rerank.strategies.blocks import joint_blocks
from rerank.strategies.consistency import self_consistent
from rerank.strategies.listwise import full_ranking, sliding_window
from rerank.strategies.pairwise import prp_allpairs, prp_heapsort, prp_sliding
from rerank.strategies.partition import top_down
from rerank.strategies.pointwise import rate_each
from rerank.strategies.setwise import setwise_bubblesort, setwise_heapsort
from rerank.strategies.tournament import tournament
from rerank.strategies.uncertain import order_uncertain

Strategy: TypeAlias = Callable[..., Asking[list[Any]]]


def first_stage(docs: Sequence[Any]) -> Asking[list[Any]]:
    """Ask nothing: the first stage's order, the line that every table needs."""
    yield from ()
    return list(docs)


STRATEGIES: dict[str, Strategy] = {
    "first-stage": first_stage,
    "pointwise": rate_each,
    "prp-allpairs": prp_allpairs,
    "prp-heapsort": prp_heapsort,
    "prp-sliding": prp_sliding,
    "setwise-heapsort": setwise_heapsort,
    "setwise-bubblesort": setwise_bubblesort,
    "sliding-window": sliding_window,
    "full-ranking": full_ranking,
    "top-down": top_down,
    "tournament": tournament,
    "joint-blocks": joint_blocks,
    "uncertain": order_uncertain,
    "self-consistency": self_consistent,
    "adaptive-rating": adaptive_rating,
    "adaptive-window": adaptive_window,
    "active": active,
}


def find_strategy(name: str) -> Strategy:
    """One of ours by its name, or anybody's as `package.module:function`."""
    if ":" in name:
        module, _, function = name.partition(":")
        return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]
    return STRATEGIES[name]


def options_of(strategy: Strategy) -> dict[str, Any]:
    """The options that a strategy takes, with their defaults."""
    parameters = list(inspect.signature(strategy).parameters.values())[1:]
    return {parameter.name: parameter.default for parameter in parameters}
