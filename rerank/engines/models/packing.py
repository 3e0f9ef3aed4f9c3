"""Weights in a quarter of their bytes: every row of a matrix as whole numbers of 8 bits.

A row is `scale` times integers from -127 to 127, the largest of them being the row's largest
number. Vectors stay in float32. Law: what was packed once is packed again to the same bytes.
"""

from collections.abc import Mapping
from typing import Any

SCALE = ".scale"


def packed(state: Mapping[str, Any]) -> dict[str, Any]:
    """Each matrix as integers, and its scales beside it under its name and `SCALE`."""
    found: dict[str, Any] = {}
    for name, weights in state.items():
        if weights.ndim != 2 or not weights.is_floating_point():
            found[name] = weights.contiguous()
            continue
        scale = weights.float().abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
        found[name] = (weights.float() / scale).round().char()
        found[name + SCALE] = scale[:, 0].contiguous()
    return found


def unpacked(state: Mapping[str, Any]) -> dict[str, Any]:
    """The matrices again, in float32."""
    return {
        name: weights.float() * state[name + SCALE][:, None] if name + SCALE in state else weights
        for name, weights in state.items()
        if not name.endswith(SCALE)
    }
