"""A real Chromium for tests, without a network; `make test` installs it where there is none."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SHOTS = Path(__file__).resolve().parents[1] / ".screenshots"


@contextmanager
def chromium() -> Iterator["object"]:
    """A browser; where there is none a test skips, and fails in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        reason = "no chromium here: make test installs it as root, or install it by hand"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
