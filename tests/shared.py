"""Where the shared test collections are: beside a checkout, never inside it."""

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


def collection(name: str) -> Path:
    """The folder of a shared collection; without it a test skips, and fails in CI."""
    return _there(FOLDER / name, f"shared collection {name!r}")


def contract(name: str) -> Path:
    """A file of the shared contract, such as the clients' calls; without it a test skips, too."""
    return _there(FOLDER.parent / "contract" / name, f"shared contract {name!r}")


def _there(path: Path, what: str) -> Path:
    if not path.exists():
        reason = f"{what} is not beside this checkout"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
