"""What every test runs under: nothing is compiled, downloaded or forked behind its back."""

import os

os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from scripted import at_once, serve
from typed import cache, fails, here, rerank, small

__all__ = ["at_once", "cache", "fails", "here", "rerank", "serve", "small"]
