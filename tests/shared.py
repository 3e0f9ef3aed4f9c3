"""Where the shared test collections are: beside a checkout, never inside it."""

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


def collection(name: str) -> Path:
    """The folder of a shared collection; without it a test skips, and fails in CI."""
    if not (path := FOLDER / name).is_dir():
        reason = f"shared collection {name!r} is not beside this checkout"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
