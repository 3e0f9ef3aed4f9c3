"""A suite of a test's own."""

from pathlib import Path

import pytest


@pytest.fixture
def suite(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write
