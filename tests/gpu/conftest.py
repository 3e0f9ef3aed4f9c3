"""What a GPU's machine must have; what is found goes to RESULTS.md after every test.

`GPU_SCALE=0.02 GPU_SHAPES=tiny` tries it all without a GPU, and writes nothing.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from bench import report

FILE = Path(__file__).with_name("RESULTS.md")


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.gpu)


@pytest.fixture(autouse=True, scope="session")
def card():
    """The GPU's name, asked outside of this process: CUDA must not begin before vLLM forks."""
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        said = subprocess.run(asked, capture_output=True, text=True).stdout.split("\n")
        if said[0]:
            return said[0].strip()
    if "GPU_SCALE" not in os.environ:
        pytest.fail("no CUDA device is here; GPU_SCALE=0.02 GPU_SHAPES=tiny tries it without one")
    return ""


@pytest.fixture(autouse=True)
def written(card):
    yield
    if card:
        report.write(FILE, f"What `make gpu` found on one {card}")
