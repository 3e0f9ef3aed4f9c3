"""Which method fits a model: what "auto" chooses, and why.

A name that says how a model was trained decides; then what its files say it is; then which label
prompts its own tokenizer can serve. A server shows no files: there its name decides alone.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

from rerank.engines import LabelError
from rerank.prompts import forms, read_prompt

WIDTH = 20
"""Documents in the widest question that labels are verified for: a window of FIRST's."""

TRAINED: dict[str, str] = {
    r"qwen3-reranker": "qwen3-reranker",
    r"bge-reranker.*gemma": "bge-reranker-gemma",
    r"mxbai-rerank-.*-v2": "mxbai-rerank-v2",
    r"monot5": "monot5",
    r"duot5": "duot5",
    r"rankllama": "rankllama",
    r"rank1\b": "rank1",
    r"tfrank": "tfrank",
    r"rank-?r1.*v0\.2": "rank-r1-v0.2",
    r"rank-?r1": "rank-r1",
    r"rank-?k\b": "rank-k",
    r"reason-?rank": "reason-rank",
    r"rank_?zephyr": "listwise",
    r"rank_?vicuna": "rank-vicuna",
    r"first_mistral": "first",
    r"boxed-decoder": "boxed-decoder",
}
"""Models that were trained for one method, by what their names have in them."""

SCORED = re.compile(r"minilm|cross-encoder|reranker|rerank-|\bgte-|\be5-|\bbge-", re.I)
"""Names of scoring models, where there are no files to look at."""


class Choice(NamedTuple):
    """A method, why it fits, and the options that its engine needs for it."""

    method: str
    why: str
    engine_options: dict[str, Any]


def choose_method(model: str, base_url: str | None) -> Choice:
    """The method that fits a model. Reads its files where they are here, or on the hub."""
    name = Path(model).name.lower()
    trained = next((m for pattern, m in TRAINED.items() if re.search(pattern, name)), None)
    if not base_url:
        return _fitting(model, trained)
    if trained:
        return Choice(trained, f"{model} was trained for it", {})
    if SCORED.search(name):
        return Choice("scorer", f"{model} is called like a model that scores pairs", {})
    return Choice("first-letters", "a server's model is asked for labels", _silent(name))


def _silent(name: str) -> dict[str, Any]:
    """Tell a model that is known to think not to, where a label is read at once."""
    thinks = "qwen3" in name and "instruct" not in name
    return {"chat_template_options": {"enable_thinking": False}} if thinks else {}


def _fitting(model: str, trained: str | None) -> Choice:
    from rerank.engines.models.checkpoints import Files
    from rerank.engines.tokenisation.tokens import Tokens

    files = Files(model)
    if "ForSequenceClassification" in files.architecture and trained != "rankllama":
        return Choice("scorer", f"{model} is a cross-encoder", {})
    if trained:
        return Choice(trained, f"{model} was trained for it", {})
    if files.json("modules.json") is not None or files.architecture.endswith("Model"):
        return Choice("scorer", f"{model} is an encoder", {})
    tokenizer = files.tokenizer()
    template = str(tokenizer.chat_template or "")
    if not template:
        return Choice("query-likelihood-raw", f"{model} has no chat template", {})
    options = {"enable_thinking": False} if "enable_thinking" in template else {}
    said = {"chat_template_options": options} if options else {}
    for method, prompt in (("first-letters", "listwise/letters"), ("first", "listwise/first")):
        try:
            Tokens(tokenizer, options).label_ids(forms(read_prompt(prompt), WIDTH)[-1])
        except LabelError:
            continue
        return Choice(method, f"{model} is a chat model, its {WIDTH} labels one token each", said)
    return Choice("listwise", f"{model} is a chat model whose labels are not one token each", said)
