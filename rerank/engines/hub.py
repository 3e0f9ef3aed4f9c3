"""Whether a model that is not on this machine can be fetched: one short look before anything loads.

Without a network the hub's client tries for half a minute, and again for each file. A hub that
answers, whatever it answers, is left to whoever loads the model. Nothing is fetched here.
"""

import os
from pathlib import Path
from time import sleep
from typing import Any

from rerank.engines import folders
from rerank.errors import EngineError, extra, in_a_line

TRIES, PAUSE = 2, 1.0
"""A name server may fail once; seconds before it is asked again."""


def refuse_unreachable(model: str, revision: str | None = None) -> None:
    """Raise `EngineError` for a name that is nowhere here, where no hub can be asked for it."""
    place = folders.place(model)
    known = extra("huggingface_hub.constants", "transformers")
    cached = Path(known.HF_HUB_CACHE) / f"models--{place.replace('/', '--')}" / "snapshots"
    other = known.HF_HUB_OFFLINE or os.environ.get("VLLM_USE_MODELSCOPE")
    if other or Path(place).exists() or cached.is_dir():
        return
    if reason := _unreachable(place, revision):
        raise EngineError(
            f"cannot load {model!r}, which is no folder here: the hub's cache does not have it,"
            f" and {known.ENDPOINT} cannot be reached ({reason})"
        )


def _unreachable(place: str, revision: str | None) -> str:
    """Why nobody answers; empty if somebody does, or if it is no name of the hub's."""
    hub: Any = extra("huggingface_hub", "transformers")
    reason = ""
    for left in reversed(range(TRIES)):
        try:
            hub.get_hf_file_metadata(hub.hf_hub_url(place, "config.json", revision=revision))
            return ""
        except (hub.errors.HfHubHTTPError, ValueError):
            return ""
        except Exception as wrong:  # of whichever library the hub's client connects with
            reason = in_a_line(wrong)
        sleep(PAUSE if left else 0)
    return reason
