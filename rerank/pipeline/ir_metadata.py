"""A result as ir_metadata 0.1 has it (Breuer, Keller & Schaer, SIGIR 2022), for TIRA and LongEval.

After PRIMAD: platform, research goal, implementation, method, actor, data. What nobody told us, who
ran it and for which venue, is not there.
"""

import os
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

FIRST = {"bm25": "BM25", "lucene": "Lucene", "dense": "dense retrieval", "hybrid": "fusion"}


def ir_metadata(result: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a result has an answer to; `options` are the first stage's."""
    libraries = [f"{name}=={version}" for name, version in result["versions"].items()]
    return {
        "schema-version": 0.1,
        "run-version": 1.0,
        "tag": result["name"],
        "platform": {
            "hardware": _hardware(),
            "operating system": _system(),
            "software": {
                "libraries": {"python": libraries},
                "retrieval toolkit": libraries[1:2],
            },
        },
        "research goal": {"evaluation": {"reported measures": list(result["mean"])}},
        "implementation": {"source": {"lang": ["python"]}},
        "method": {
            "automatic": True,
            "score ties": "none: scores fall strictly",
            "retrieval": _stages(result, options),
        },
        "data": {"test collection": {"name": ", ".join(result["datasets"])}},
    }


def _stages(result: Mapping[str, Any], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    first = result["first"]
    method = FIRST.get(first, "as given")
    stages = [{"name": first, "method": method, **({"params": dict(options)} if options else {})}]
    if result["strategy"] != "first-stage":
        reranker = {key: result[key] for key in ("strategy", "prompt", "model", "judge")}
        params = {**reranker, "depth": result["depth"], **result["options"]}
        named = {"name": result["name"], "method": result["method"] or result["strategy"]}
        stages.append({**named, "params": params, "reranks": first})
    return stages


def _hardware() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": {
            "model": _cpu() or platform.processor(),
            "architecture": platform.machine(),
            "number of cores": os.cpu_count(),
        },
        "ram": f"{memory:.0f} GB",
        **({"gpu": gpu} if (gpu := _gpu()) else {}),
    }


def _cpu() -> str:
    with suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return ""


def _gpu() -> dict[str, str]:
    """The first GPU, where torch is loaded and has one."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_available():
        return {}
    seen = cuda.get_device_properties(0)
    return {"architecture": seen.name, "ram": f"{seen.total_memory / 2**30:.0f} GB"}


def _system() -> dict[str, str]:
    with suppress(OSError):
        return {"distribution": platform.freedesktop_os_release()["PRETTY_NAME"]}
    return {"distribution": platform.system()}
