"""A peer from its package, in an environment of its own beside ours, with the same vLLM."""

import subprocess
import sys
import sysconfig
from pathlib import Path

from rerank.files import cache

RANK_LLM = (
    *("rank-llm==0.25.7", "dacite", "ftfy", "wcwidth", "openai", "tiktoken", "python-dotenv"),
    *("pandas", "python-dateutil", "pytz", "tzdata", "distro", "jiter", "sniffio"),
)
"""The peer, and of what it names only what we lack: the rest is taken from our environment."""

PYLATE = ("pylate==1.6.0", "sentence-transformers==5.3.0")


def rank_llm() -> Path:
    """The Python that has rank-llm."""
    return _made("rank-llm-0.25.7", RANK_LLM)


def pylate() -> Path:
    """The Python that has PyLate and the sentence-transformers that it wants."""
    return _made("pylate-1.6.0", PYLATE)


def _made(name: str, packages: tuple[str, ...]) -> Path:
    """An environment's Python, made once, which finds our packages behind its own."""
    home = cache() / "bench" / name
    python = home / "bin" / "python"
    if not (home / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        uv = Path(sys.executable).with_name("uv")
        command = [uv, "pip", "install", "--quiet", "--no-deps", "--python", python, *packages]
        subprocess.run(command, check=True)
        (home / "done").touch()
    [site] = home.glob("lib/python*/site-packages")  # whichever checkout of ours asks now
    (site / "ours.pth").write_text(sysconfig.get_paths()["purelib"])
    return python
