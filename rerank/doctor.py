"""What is installed, for which engines, and which prompts a model's tokenizer can serve."""

import importlib.metadata
import platform
import re
from typing import Any

from rerank import files
from rerank.engines import LabelError
from rerank.engines.opening import ENGINES
from rerank.errors import installing
from rerank.prompts import forms, read_prompt
from rerank.wants import Labels, Logits

WIDTH = 20  # documents in the widest question that is checked


def examine() -> dict[str, Any]:
    """Extras with what they lack, and engines that are there."""
    return {
        "python": platform.python_version(),
        "extras": {name: _missing(name) for name in _extras()},
        "engines": {name: place.installed for name, place in ENGINES.items()},
    }


def labels(model: str) -> dict[str, str]:
    """For each shipped prompt that reads labels: `ok`, or why this tokenizer cannot serve it."""
    from rerank.engines.models.checkpoints import tokenizer
    from rerank.engines.tokenisation.tokens import Tokens

    loaded = tokenizer(model)
    tokens = Tokens(loaded)
    verdicts = {}
    for name in files.names("prompts"):
        prompt = read_prompt(name)
        if prompt.reader.wants in (Labels, Logits):
            request = forms(prompt, WIDTH)[-1]
            if request.chat and not loaded.chat_template:
                verdicts[name] = "its tokenizer has no chat template"
                continue
            try:
                tokens.label_ids(request)
                verdicts[name] = "ok"
            except LabelError as refusal:
                verdicts[name] = str(refusal)
    return verdicts


def report(found: dict[str, Any]) -> str:
    """The findings as lines for a person."""
    lines = [f"python {found['python']}", "", "extras"]
    for name, missing in found["extras"].items():
        mend = f"lacks {', '.join(missing)}; {installing(name)}"
        lines.append(f"  {name:<12} {mend if missing else 'ok'}")
    lines += ["", "engines"]
    lines += [
        f"  {name:<12} {'installed' if there else 'not installed'}"
        for name, there in found["engines"].items()
    ]
    return "\n".join(lines)


def verdicts(model: str, found: dict[str, str]) -> str:
    """What a model's labels gave, as lines for a person."""
    lines = [f"  {name:<28} {verdict}" for name, verdict in found.items()]
    return "\n".join(["", f"label prompts for {model}", *lines])


def _extras() -> dict[str, list[str]]:
    """The extras of this distribution, each with the distributions that it names."""
    metadata = importlib.metadata.metadata("rerank-pipeline")
    wanted: dict[str, list[str]] = {name: [] for name in metadata.get_all("Provides-Extra") or []}
    for line in importlib.metadata.requires("rerank-pipeline") or []:
        requirement, _, marker = line.partition(";")
        if extra := re.search(r"extra == ['\"]([^'\"]+)", marker):
            name = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
            wanted[extra[1]].append(name[0] if name else requirement)
    return {name: parts for name, parts in wanted.items() if name != "dev"}


def _missing(name: str) -> list[str]:
    """Which distributions of an extra are not installed."""
    missing = []
    for part in _extras()[name]:
        try:
            importlib.metadata.version(part)
        except importlib.metadata.PackageNotFoundError:
            missing.append(part)
    return missing
