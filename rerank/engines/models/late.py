"""ColBERT checkpoints as PyLate saves them: marked texts, projected tokens, MaxSim.

A query begins with one marker, a document with another; a query is filled up with mask tokens,
which count as words of it; a document's punctuation does not count. What a file says that is not
known here is an error. Khattab & Zaharia 2020, arXiv:2004.12832; Chaffin & Sourty 2025,
arXiv:2508.03555.
"""

from collections.abc import Iterator, Sequence
from string import punctuation
from typing import Any, NamedTuple

from rerank.engines.models.checkpoints import Files, numbers
from rerank.engines.models.encoders import LateEncoder, Text
from rerank.engines.models.pooling import VectorForm
from rerank.errors import EngineError, UsageError

STATED = "config_sentence_transformers.json"
BEFORE, AFTER = "Transformer", "Dense"  # the modules that such a checkpoint is made of


class LateForm(NamedTuple):
    """How texts are read, in PyLate's words and with its defaults."""

    query_prefix: str = "[Q] "
    document_prefix: str = "[D] "
    query_length: int = 32
    document_length: int = 180
    do_query_expansion: bool = True
    attend_to_expansion_tokens: bool = False
    skiplist_words: Sequence[str] = tuple(punctuation)


def late_form(files: Files) -> LateForm | None:
    """What the files say; None for a checkpoint that is not of this kind."""
    stated = files.json(STATED) or {}
    if "query_prefix" not in stated:
        return None
    known = {key: stated[key] for key in LateForm._fields if stated.get(key) is not None}
    form = LateForm(**known)
    if form.query_prefix == form.document_prefix:
        raise EngineError(f"{files.model} marks queries and documents alike; it is not served here")
    return form


class ColBERT(LateEncoder):
    """Such a checkpoint; a `limit` is one of documents."""

    def __init__(self, files: Files, device: str, dtype: str, limit: int | None) -> None:
        form = late_form(files)
        assert form
        self._late, self._layers = form, []
        lower = bool((files.json("sentence_bert_config.json") or {}).get("do_lower_case"))
        texts = VectorForm(
            max_length=form.document_length,
            lower=lower,
            query_prompt=form.query_prefix,
            doc_prompt=form.document_prefix,
        )
        super().__init__(files, device, dtype, limit, texts)
        self._marks = self.tokenizer.convert_tokens_to_ids(
            [form.query_prefix, form.document_prefix]
        )
        self._silent = set(self.tokenizer.convert_tokens_to_ids(list(form.skiplist_words)))
        self._layers = [Projection(files, path, self.device) for path in _projections(files)]
        masks = (self.tokenizer.mask_token_id, self.tokenizer.eos_token_id, self.padding)
        self._mask = next(token for token in masks if token is not None)

    @property
    def decides(self) -> dict[str, Any]:
        return super().decides | self._late._asdict()

    @property
    def width(self) -> int:
        return self._layers[-1].width if self._layers else super().width

    def vectors(self, texts: Sequence[str], batch_tokens: int) -> list[Any]:
        raise UsageError(f"{self.version} has a vector for each token: give dense.muvera")

    def _some_texts(self, sides: Sequence[Sequence[str]]) -> Iterator[Text]:
        """Texts begin with the prompt of their side, which a marker stands for."""
        [texts] = sides
        before, _ = self.prompts
        asking = [text.startswith(before) for text in texts]
        read = {side: self._side(texts, asking, side) for side in (True, False)}
        return (next(read[side]) for side in asking)

    def _side(self, texts: Sequence[str], asking: Sequence[bool], side: bool) -> Iterator[Text]:
        prompt = self.prompts[0 if side else 1]
        pairs = zip(texts, asking, strict=True)
        bare = [text.removeprefix(prompt).strip() for text, asks in pairs if asks == side]
        limit = (self._late.query_length if side else self.limit) - 1  # the marker is one more
        whole = self._rows([bare])
        for row, all_of_it in zip(
            self._rows([bare], truncation=True, max_length=limit), whole, strict=True
        ):
            marked = self._marked(row, side)
            cut = len(all_of_it["input_ids"]) - len(row["input_ids"])
            yield Text(marked, len(marked["input_ids"]), cut)

    def _marked(self, row: dict[str, list[int]], asks: bool) -> dict[str, list[int]]:
        """A row with its marker after the first token; a query's is filled up with masks."""
        missing = self._late.query_length - 1 - len(row["input_ids"])
        spare = missing if asks and self._late.do_query_expansion else 0
        marks = {"input_ids": self._marks[0 if asks else 1], "attention_mask": 1}
        fill = {
            "input_ids": self._mask,
            "attention_mask": int(self._late.attend_to_expansion_tokens),
        }
        return {
            name: [*ids[:1], marks.get(name, 0), *ids[1:], *([fill.get(name, 0)] * spare)]
            for name, ids in row.items()
        }

    def _embed_tokens(self, texts: Sequence[Text]) -> None:
        if not texts:
            return
        output, _ = self._run(texts)
        states = numbers(output.last_hidden_state)
        for layer in self._layers:
            states = layer.projected(states)
        states = states / states.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        for text, rows in zip(texts, states.cpu(), strict=True):
            text.vector, text.inputs = rows[self._counted(text.inputs["input_ids"])], {}

    def _counted(self, ids: Sequence[int]) -> list[int]:
        """The places of the tokens that count: all of a query's."""
        silent = set() if ids[1] == self._marks[0] else self._silent
        return [place for place, token in enumerate(ids) if token not in silent]


class Projection:
    """A linear layer over tokens, perhaps added to what went in."""

    def __init__(self, files: Files, path: str, device: str) -> None:
        stated = files.json(f"{path}/config.json") or {}
        self.width = int(stated["out_features"])
        function = str(stated.get("activation_function", "Identity")).rpartition(".")[2]
        if function != "Identity":
            raise EngineError(f"{files.model} projects by {function}; known here: Identity")
        weights = {
            name: weight.float().to(device)
            for name, weight in files.tensors(f"{path}/model.safetensors").items()
        }
        self._weight, self._bias = weights["linear.weight"], weights.get("linear.bias")
        self._adds, self._residual = stated.get("use_residual"), weights.get("residual.weight")

    def projected(self, states: Any) -> Any:
        found = states @ self._weight.T
        found = found if self._bias is None else found + self._bias
        if not self._adds:
            return found
        return found + (states if self._residual is None else states @ self._residual.T)


def _projections(files: Files) -> list[str]:
    """The folders of the projections, in their order."""
    modules = [
        (module["type"].rpartition(".")[2], module["path"]) for module in files.json("modules.json")
    ]
    if unknown := [kind for kind, _ in modules if kind not in (BEFORE, AFTER)]:
        raise EngineError(f"{files.model} has a module that is not known here: {unknown[0]}")
    return [path for kind, path in modules if kind == AFTER]
