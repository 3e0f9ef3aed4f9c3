"""Where a ranking is cut: at a score, or as deep as a share of what is kept will be relevant."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rerank.errors import UsageError

Keep: TypeAlias = Mapping[str, float]
"""`{"score": s}`, `{"probability": p}` or `{"precision": p}`."""

WAYS = ("score", "probability", "precision")


def refuse_keep(keep: Keep, method: str, score_kind: str, calibrated: bool) -> None:
    """Raise `UsageError` for a cut that cannot be made, with the reason."""
    if len(keep) != 1 or not {*keep} <= {*WAYS}:
        raise UsageError(f"keep is {dict(keep)}; give one of: {', '.join(WAYS)}")
    [(way, least)] = keep.items()
    number = isinstance(least, int | float) and not isinstance(least, bool) and least == least
    if not number or (way != "score" and not 0 < least <= 1):
        raise UsageError(f"keep {way} is {least!r}; give a number{_range(way)}")
    if score_kind == "none":
        raise UsageError(
            f"method {method} gives an order and no scores, so there is nothing to cut at;"
            " take top_n, or a method that rates each document, such as scorer or yes-no"
        )
    if way != "score" and not calibrated:
        raise UsageError(
            f"keep {way} needs a calibration, since a {score_kind} is no probability:"
            " fit one with `rerank calibrate` and give it as calibration"
        )


def kept(keep: Keep, scores: Sequence[Any], probabilities: Sequence[Any]) -> int:
    """How many of a ranking's first are kept; what has no score ends them.

    By precision it is the most whose mean probability, the share of them that is expected to be
    relevant, is as much as was asked for.
    """
    [(way, least)] = keep.items()
    total = count = 0.0
    for score, probability in zip(scores, probabilities, strict=True):
        if score is None:
            break
        total += probability or 0.0
        found = {"score": score, "probability": probability, "precision": total / (count + 1)}[way]
        if found is None or found < least:
            break
        count += 1
    return int(count)


def _range(way: str) -> str:
    return "" if way == "score" else " above 0 and up to 1"
