"""Who has started and who is finished, said by the processes of `make gpu` to each other.

Every model starts in a process of its own, all of them side by side, since a start takes longer
than most that is measured; then one model after the other has the card to itself. Somebody who
runs a part of the tests in one process, and names no folder, waits for nobody.
"""

import os
from pathlib import Path
from time import monotonic, sleep

PATIENCE = 540  # seconds that the others may take before somebody goes on without them
STARTS = 200  # seconds that all of them may take to start
FOLDER = os.environ.get("GPU_MARKS")


def say(mark: str) -> None:
    if FOLDER:
        (Path(FOLDER) / f"{mark}.mark").touch()


def wait(*marks: str, seconds: float = PATIENCE) -> None:
    until = monotonic() + seconds
    missing = set(marks) if FOLDER else set()
    while missing and monotonic() < until:
        missing = {mark for mark in missing if not (Path(FOLDER or "") / f"{mark}.mark").exists()}
        sleep(0.1)
