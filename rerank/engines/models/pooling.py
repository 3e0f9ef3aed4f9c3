"""How an encoder makes one vector of many tokens, in the words of sentence-transformers' files.

What is unknown there is an error: a wrong pooling scores, but badly. No model is loaded here.
"""

from typing import Any, NamedTuple

from rerank.engines.models.checkpoints import Files
from rerank.errors import EngineError

POOLINGS = ("cls", "mean", "lasttoken")
"""The ways that are known here of making one vector out of a text's tokens."""


def pooled(pooling: str, states: Any, mask: Any) -> Any:
    """One vector for each row of (rows, tokens, numbers)."""
    if pooling == "cls":
        return states[:, 0]
    counts = mask.sum(1)
    if pooling == "lasttoken":
        return states[range(len(states)), (counts - 1).tolist()]
    return (states * mask[:, :, None]).sum(1) / counts[:, None]


class VectorForm(NamedTuple):
    """How an encoder makes its vectors, in the words of sentence-transformers' files."""

    pooling: str = "mean"
    normalized: bool = False
    max_length: int | None = None
    lower: bool = False
    query_prompt: str = ""
    doc_prompt: str = ""


def vector_form(files: Files) -> VectorForm:
    """What modules.json and its companions say; a bare encoder without them is mean-pooled."""
    modules = files.json("modules.json")
    if modules is None:
        if not files.architecture.endswith("Model"):
            raise EngineError(
                f"{files.model} is a {files.architecture}: neither an encoder nor a cross-encoder"
            )
        return VectorForm()
    paths = {module["type"].rpartition(".")[2]: module["path"] for module in modules}
    if unknown := [kind for kind in paths if kind not in ("Transformer", "Pooling", "Normalize")]:
        raise EngineError(f"{files.model} has a module that is not known here: {unknown[0]}")
    older = f"sentence_{files.config.model_type}_config.json"
    reading = files.json("sentence_bert_config.json") or files.json(older) or {}
    prompts = (files.json("config_sentence_transformers.json") or {}).get("prompts") or {}
    return VectorForm(
        pooling=_pooling(files, paths.get("Pooling")),
        normalized="Normalize" in paths,
        max_length=reading.get("max_seq_length"),
        lower=bool(reading.get("do_lower_case")),
        query_prompt=prompts.get("query") or "",
        doc_prompt=prompts.get("document") or "",
    )


def _pooling(files: Files, path: str | None) -> str:
    """Newer files name it, older ones switch one of several on: "pooling_mode_cls_token"."""
    stated = (files.json(f"{path}/config.json") if path else None) or {}
    switched = [
        key.removeprefix("pooling_mode_").removesuffix("_token").removesuffix("_tokens")
        for key, on in stated.items()
        if key.startswith("pooling_mode_") and on
    ]
    named = stated.get("pooling_mode", switched)
    [*names] = [named] if isinstance(named, str) else named
    if len(names) != 1 or names[0] not in POOLINGS:
        raise EngineError(
            f"{files.model} pools by {' and '.join(names) or 'nothing'};"
            f" known here: {', '.join(POOLINGS)}"
        )
    return str(names[0])
