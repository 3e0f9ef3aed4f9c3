"""What can go wrong, in one line each: where it is, what is wrong, and how to mend it.

Every error that a user can cause is one of these. The command line prints its
text, without a traceback, and leaves with its exit code.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

DONE_WITH_FAILURES = 7
STOPPED = 130  # as shells have it for Ctrl-C


class RerankError(Exception):
    """A mistake that can be explained in one line."""

    exit_code = 1


class UsageError(RerankError):
    """A recipe, an option or a combination of them that cannot work."""

    exit_code = 2


class MissingExtra(RerankError):
    """An optional part that is not installed; the text is the line that installs it."""

    exit_code = 3


class InputError(RerankError):
    """A file that cannot be read as what it should be."""

    exit_code = 4

    @classmethod
    def at(cls, path: Path | str, line: int | None, what: str) -> "InputError":
        place = f"{path}:{line}" if line is not None else str(path)
        return cls(f"{place}: {what}")


class EngineError(RerankError):
    """An engine that cannot do what is asked of it, or stopped answering."""

    exit_code = 5


class Unavailable(EngineError):
    """A server in trouble, which may answer later."""


def in_a_line(wrong: Exception) -> str:
    """What an exception of somebody else's says first."""
    return (str(wrong).strip() or repr(wrong)).splitlines()[0]


def extra(module: str, name: str) -> ModuleType:
    """Import `module`, which comes with the extra `name`."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name != module.split(".")[0]:
            raise
        raise MissingExtra(f"{module} is not installed; {installing(name)}") from None


def refuse_without(module: str, name: str) -> None:
    """Raise what `extra` would raise hours later; nothing is imported."""
    if find_spec(module) is None:
        raise MissingExtra(f"{module} is not installed; {installing(name)}")


@contextmanager
def needing(name: str) -> Iterator[None]:
    """Imports that the extra `name` brings; without it, the line that installs it."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise MissingExtra(f"{missing.name} is not installed; {installing(name)}") from None


def installing(name: str) -> str:
    """The line that installs an extra: into a checkout if this is one, else from an index."""
    here = Path(__file__).resolve().parents[1]
    if (here / "pyproject.toml").is_file():
        return f"run: pip install -e '{here}[{name}]'"
    return f"run: pip install 'rerank-pipeline[{name}]'"
