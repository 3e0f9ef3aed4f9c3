"""Let vLLM's CPU build load after numba, which BM25 and ranx bring along.

While it loads, vLLM 0.32 looks into the `__dict__` of everything that any module holds.
llvmlite's library takes that name for a function of its own and hands out an object that vLLM
cannot read, and the load dies of an AttributeError.
"""

import sys
from typing import Any


def hide_dict() -> None:
    """Make llvmlite's library say that it has no `__dict__`; nothing to do without llvmlite."""
    if (ffi := sys.modules.get("llvmlite.binding.ffi")) is None:
        return
    library = type(ffi.lib)
    find = library.__dict__.get("__getattr__")
    if find is None or find.__module__ == __name__:
        return

    def find_function(self: Any, name: str) -> Any:
        if name == "__dict__":
            raise AttributeError(name)
        return find(self, name)

    library.__getattr__ = find_function
