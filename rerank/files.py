"""Files that are named: what ships with rerank, in a wheel or in a checkout, and a user's own.

What cannot be read, written or understood of one is a line that names it.
"""

import os
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from rerank.checking import first_mistake
from rerank.errors import InputError

M = TypeVar("M", bound=pydantic.BaseModel)

PACKAGED = Path(str(files("rerank"))) / "_data"  # a wheel: put there by the build
CHECKOUT = Path(__file__).resolve().parents[1]  # a checkout: the repository itself

YAML = (".yaml", ".yml")

_FOLDERS = {"prompts": "prompts", "suites": "eval/suites", "demo": "eval/demo"}


def shipped(kind: str) -> Path:
    """The folder of everything of a kind that ships: `prompts`, `suites` or `demo`."""
    return PACKAGED / kind if PACKAGED.is_dir() else CHECKOUT / _FOLDERS[kind]


def names(kind: str) -> list[str]:
    """What ships of a kind, by the names that a recipe calls them."""
    folder = shipped(kind)
    return sorted(p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.toml"))


def find(kind: str, name: str) -> Path:
    """A path is the user's file, a name is ours: `./mine.toml` or `pairwise/prp`."""
    if name.endswith((".toml", *YAML)):
        if Path(name).is_file():
            return Path(name)
        raise InputError.at(name, None, "no such file")
    if not (path := shipped(kind) / f"{name}.toml").is_file():
        file = f"{name}.toml"
        mend = f"say {file!r}" if Path(file).is_file() else f"there are: {', '.join(names(kind))}"
        raise InputError(f"no {kind.rstrip('s')} called {name!r}; {mend}")
    return path


def cache() -> Path:
    """Where indexes are kept: $RERANK_CACHE, else the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("RERANK_CACHE") or Path(home) / "rerank")


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's keys; what is wrong with it is named by file, line and column."""
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as wrong:
        raise InputError.at(path, None, str(wrong)) from None


def read_text(path: Path) -> str:
    """The text of a file that is read whole; what cannot be read is an InputError.

    A byte order mark at its beginning, as Windows' editors write it, is none of its text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError.at(path, None, "no such file") from None
    except OSError as wrong:
        raise InputError.at(path, None, f"cannot be read: {wrong.strerror}") from None
    except UnicodeDecodeError as wrong:
        line = wrong.object.count(b"\n", 0, wrong.start) + 1
        what = f"not UTF-8: byte 0x{wrong.object[wrong.start]:02x}"
        raise InputError.at(path, line, what) from None


class Strict(pydantic.BaseModel):
    """A table of a file: unknown keys are errors, and no value is taken for another kind."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False
    )


def checked(model: type[M], raw: dict[str, Any], path: Path) -> M:
    """The keys of a file as a model; the first key that does not fit is named."""
    try:
        return model.model_validate(raw)
    except pydantic.ValidationError as wrong:
        key, what = first_mistake(model, wrong)
        raise InputError.at(path, None, f"key {key!r}: {what}" if key else what) from None


def part_of(path: Path) -> Path:
    """Where a file is written that shall be there whole or not at all."""
    return path.with_name(f"{path.name}.part")


def refuse_unwritable(path: Path) -> None:
    """Raise `InputError` for a file that could not be written when the work for it is done.

    Its folder is made. What is neither a file nor a folder, such as a pipe, is left alone.
    """
    try:
        place = path.resolve()
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.open("xb").close()
            place.unlink()
        elif place.is_file() or place.is_dir():
            place.open("ab").close()
    except OSError as wrong:
        raise InputError.at(path, None, f"cannot be written: {wrong.strerror}") from None
