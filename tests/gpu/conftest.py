"""What a GPU's machine must have; what is found goes to RESULTS.md after every test.

`GPU_SCALE=0.02 GPU_SHAPES=tiny make gpu MODELS="small boxed-decoder tiny"` tries it all without a
GPU, and writes nothing.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import gettempdir

import pytest
from bench import report

FILE = Path(__file__).with_name("RESULTS.md")
LOCK = Path(gettempdir()) / "rerank-gpu.lock"


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.gpu)


@pytest.fixture(autouse=True, scope="session")
def card():
    """The GPU's name, asked outside of this process: CUDA must not begin before vLLM forks."""
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
        said = subprocess.run(asked, capture_output=True, text=True).stdout.split("\n")
        if said[0]:
            return said[0].strip()
    if "GPU_SCALE" not in os.environ:
        pytest.fail("no CUDA device is here; GPU_SCALE=0.02 GPU_SHAPES=tiny tries it without one")
    return ""


@pytest.fixture(scope="session")
def memory(card):
    """The bytes that models, all of them started, may share as room for keys and values."""
    weights_and_work = 60 * 2**30  # of the five models, as they are in SHAPES
    return int(card.split(", ")[1]) * 2**20 - weights_and_work if card else 0


@pytest.fixture(autouse=True)
def written(card):
    yield
    if card:
        with LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # other processes have found something, too
            report.write(FILE, f"What `make gpu` found on one {card.split(', ')[0]}")
