"""Where a model computes: what a device is called, and whether this machine has it."""

from typing import Any

from rerank.errors import EngineError, in_a_line


def device_of(torch: Any, named: str) -> str:
    """The device of that name, once something is there; `auto` is a GPU where there is one."""
    if named == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if named.startswith("cuda") and not torch.cuda.is_available():
        raise EngineError(f"device {named!r}: torch sees no GPU here; use device cpu")
    try:
        torch.empty(0, device=named)
    except Exception as wrong:  # each kind of device has its own
        reason = in_a_line(wrong).rstrip(".")
        raise EngineError(f"device {named!r}: {reason}; use auto, cpu or cuda") from None
    return named
