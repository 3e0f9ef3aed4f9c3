"""Models that say which terms of their vocabulary a text has, and how much of each (SPLADE).

A masked language model's logits become weights: log(1 + relu), the highest over a text's tokens.
Weights are whole numbers, as Anserini's indexes have them. Formal et al. 2021, arXiv:2109.10086.
"""

from collections.abc import Iterator, Sequence
from json import dumps

from rerank.engines.models.checkpoints import Files, Loaded
from rerank.errors import EngineError

RANGE, STEPS = 5, 256  # a weight of 5 is the number 256
BATCH_TOKENS = 4096
LOT = 512  # texts that are sorted by length


class Sparse(Loaded):
    """Terms and their impacts; texts beyond the model's length are cut."""

    def __init__(self, model: str, device: str = "auto", dtype: str = "auto") -> None:
        files = Files(model)
        if not files.architecture.endswith("ForMaskedLM"):
            raise EngineError(
                f"{model} is a {files.architecture}: impacts need a masked language model (SPLADE)"
            )
        super().__init__(files, "AutoModelForMaskedLM", device, dtype)
        self._limit = min(size for size in (self.positions, self.advised, 512) if size)
        self._words = self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))
        decides = {"dtype": self.precision, "max_length": self._limit}
        self.name = f"splade {self.version} {dumps(decides)}"

    def terms(self, texts: Sequence[str]) -> Iterator[dict[str, int]]:
        """For each text the terms that it has, by their impacts."""
        for start in range(0, len(texts), LOT):
            yield from self._lot(texts[start : start + LOT])

    def _lot(self, texts: Sequence[str]) -> list[dict[str, int]]:
        """Texts of similar length share a batch."""
        cut = {"truncation": True, "max_length": self._limit}
        rows = [self.tokenizer(text, **cut)["input_ids"] for text in texts]
        waiting = sorted(range(len(rows)), key=lambda place: len(rows[place]), reverse=True)
        found: dict[int, dict[str, int]] = {}
        while waiting:
            size = max(1, BATCH_TOKENS // max(1, len(rows[waiting[0]])))
            batch, waiting = waiting[:size], waiting[size:]
            found |= zip(batch, self._weighed([rows[place] for place in batch]), strict=True)
        return [found[place] for place in range(len(rows))]

    def _weighed(self, rows: Sequence[Sequence[int]]) -> Iterator[dict[str, int]]:
        mask = self.mask(rows)
        with self.computing():
            ids = self.padded(rows, self.tokenizer.pad_token_id or 0)
            logits = self.model(input_ids=ids, attention_mask=mask).logits.float()
            weights = (logits.relu() * mask[:, :, None]).amax(1).log1p()
            impacts = (weights * (STEPS / RANGE)).round().int().cpu()
        for row in impacts:
            found = row.nonzero()[:, 0].tolist()
            yield {self._words[term]: int(row[term]) for term in found if term < len(self._words)}
