"""Language models step by step: prompts as token ids in, next-token scores out.

It decides no token and knows no text. The head works in float32 whatever the model's precision:
in bfloat16, numbers between 16 and 32 are 0.125 apart, and labels tie.
"""

import copy
import inspect
from collections.abc import Generator, Iterator, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from rerank.engines.models.checkpoints import Files, Loaded, numbers, widened
from rerank.errors import EngineError

PAYS = 0.2  # the share of a prompt that is read for all at once, or not at all

Following = Generator[Any, Sequence[int | None], None]
"""Yields next-token scores; takes the token chosen for each row, or `None` where a row is done."""


class Prompt(NamedTuple):
    """What a model reads, and the tokens that its own text opens with.

    Only a model with an encoder has `opens`; any other reads them last.
    """

    reads: tuple[int, ...]
    opens: tuple[int, ...] = ()


def language_model(model: str, device: str, dtype: str, revision: str | None) -> "LanguageModel":
    """Load a model that writes text: a decoder, or an encoder with one (T5)."""
    files = Files(model, revision)
    if getattr(files.config, "is_encoder_decoder", False):
        return EncoderDecoder(files, "AutoModelForSeq2SeqLM", device, dtype)
    if not any(kind in files.architecture for kind in ("CausalLM", "LMHead", "Conditional")):
        raise EngineError(f"{model} is a {files.architecture}, which writes no text")
    return Decoder(files, "AutoModelForCausalLM", device, dtype)


class LanguageModel(Loaded):
    """What both kinds have in common: how scores of the vocabulary become scores of labels."""

    two_sided: bool  # whether an encoder reads what a decoder goes on from
    shares = False  # whether what prompts begin with alike is read once for all of a batch

    def __init__(self, files: Files, kind: str, device: str, dtype: str) -> None:
        super().__init__(files, kind, device, dtype)
        stated = self.model.generation_config.eos_token_id
        ends = stated if isinstance(stated, list) else [stated]
        self.ends = frozenset([*ends, self.tokenizer.eos_token_id]) - {None}
        if self.precision != "float32":
            head = copy.deepcopy(self.model.get_output_embeddings())  # it may be the embedding too
            self.model.set_output_embeddings(widened(head))

    def follow(self, prompts: Sequence[Prompt]) -> Following:
        """Yield every row's next-token scores, for ever: (rows, vocabulary), float32, unnormalised.

        Rows that are done are left out of what comes next. Prompts that go together have equally
        many `opens`.
        """
        raise NotImplementedError

    def continued(
        self, prompts: Sequence[Prompt], targets: Sequence[Sequence[int]]
    ) -> Iterator[Any]:
        """For each row the scores (tokens of its target, vocabulary), in one forward pass."""
        raise NotImplementedError

    def label_scores(
        self, prompts: Sequence[Prompt], labels: Sequence[Sequence[int]], raw: bool = False
    ) -> list[tuple[float, ...]]:
        """The log-probability of each label as the next token; `raw` scores as the head gives."""
        scores = next(self.follow(prompts))
        totals = scores.new_zeros(len(scores)) if raw else scores.logsumexp(-1)
        return [
            tuple((row[list(ids)].double() - total).tolist())
            for row, total, ids in zip(scores, totals, labels, strict=True)
        ]

    def likelihoods(
        self, prompts: Sequence[Prompt], targets: Sequence[Sequence[int]]
    ) -> list[float]:
        """The log-probability of each row's target, summed over its tokens."""
        found = []
        for scores, ids in zip(self.continued(prompts, targets), targets, strict=True):
            chosen = scores[list(range(len(ids))), list(ids)].double()
            found.append(float((chosen - scores.logsumexp(-1)).sum()))
        return found

    def dice(self, seed: int | None) -> Any:
        """A source of chance for one text, so that no other text changes what is drawn."""
        source = self.torch.Generator()
        if seed is None:
            source.seed()
        else:
            source.manual_seed(seed)
        return source

    def _going(self, chosen: Sequence[int | None], past: Any) -> tuple[Any, list[int]]:
        """The ids to read next and their rows; the others leave the cache."""
        going = [row for row, token in enumerate(chosen) if token is not None]
        if len(going) < len(chosen):
            past.batch_select_indices(self.torch.tensor(going, device=self.device))
        return self.padded([[token] for token in chosen if token is not None], 0), going


class Decoder(LanguageModel):
    """Reads the prompt and writes on. Rows are padded at the left, so that all end together."""

    two_sided = False

    def __init__(self, files: Files, kind: str, device: str, dtype: str) -> None:
        super().__init__(files, kind, device, dtype)
        self._takes = inspect.signature(self.model.forward).parameters
        if "past_key_values" not in self._takes:
            raise EngineError(f"{files.model} keeps no key-value cache; use the vllm engine")
        self.shares = True

    def follow(self, prompts: Sequence[Prompt]) -> Following:
        ids, mask, past = self._begun([prompt.reads for prompt in prompts])
        while True:
            read = self._read(ids, mask, 1, past_key_values=past, use_cache=True)
            chosen = yield numbers(read.logits[:, -1])
            past = read.past_key_values
            ids, going = self._going(chosen, past)
            mask = self.torch.cat([mask[going], mask.new_ones(len(going), 1)], 1)

    def continued(
        self, prompts: Sequence[Prompt], targets: Sequence[Sequence[int]]
    ) -> Iterator[Any]:
        rows = [(*prompt.reads, *ids) for prompt, ids in zip(prompts, targets, strict=True)]
        kept = max(map(len, targets)) + 1
        ids, mask, past = self._begun(rows, kept)
        options = {"past_key_values": past, "use_cache": past is not None}
        logits = self._read(ids, mask, kept, **options).logits
        for row, wanted in zip(logits, targets, strict=True):
            yield numbers(row[-len(wanted) - 1 : -1])

    def _begun(self, rows: Sequence[tuple[int, ...]], kept: int = 1) -> tuple[Any, Any, Any]:
        """What is to be read of each row, the mask, and the cache of what all rows begin with.

        That is read once, where it is long enough to pay for a pass of its own.
        """
        shared = min(_common(rows), min(map(len, rows)) - kept)
        pays = len(rows) > 1 and shared >= PAYS * max(map(len, rows))
        past = self._once(rows[0][:shared], len(rows)) if pays and self.shares else None
        rest = rows if past is None else [row[shared:] for row in rows]
        ids, mask = self.padded(rest, 0, left=True), self.mask(rest, left=True)
        if past is not None:
            mask = self.torch.cat([mask.new_ones(len(rows), shared), mask], 1)
        return ids, mask, past

    def _once(self, start: Sequence[int], rows: int) -> Any:
        """The cache of a start that so many rows have; None from a model that takes no padding
        after it, as those with a sliding window or a state do."""
        ids = self.padded([start], 0)
        past = self._read(ids, ids.new_ones(ids.shape), 1, use_cache=True).past_key_values
        kinds = {type(layer).__name__ for layer in getattr(past, "layers", ())}
        self.shares = kinds == {"DynamicLayer"}
        if not self.shares:
            return None
        past.batch_repeat_interleave(rows)
        return past

    def _read(self, ids: Any, mask: Any, kept: int, **options: Any) -> Any:
        """Positions count from each row's first real token; only the last `kept` are scored."""
        positions = (mask.cumsum(-1) - 1).clamp_min(0)[:, -ids.shape[1] :]
        options |= {"position_ids": positions, "logits_to_keep": kept}
        taken = {name: value for name, value in options.items() if name in self._takes}
        return self.model(input_ids=ids, attention_mask=mask, **taken)


def _common(rows: Sequence[tuple[int, ...]]) -> int:
    """How many tokens all rows begin with: as many as the first and the last of them in order."""
    pairs = zip(min(rows), max(rows), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class EncoderDecoder(LanguageModel):
    """The encoder reads the prompt; what is written opens with the decoder's start token."""

    two_sided = True

    def __init__(self, files: Files, kind: str, device: str, dtype: str) -> None:
        super().__init__(files, kind, device, dtype)
        stated = self.model.generation_config.decoder_start_token_id
        self._start = self.model.config.decoder_start_token_id if stated is None else stated

    def follow(self, prompts: Sequence[Prompt]) -> Following:
        read, mask = self._encoded(prompts)
        ids, past = self.padded([[self._start, *prompt.opens] for prompt in prompts], 0), None
        while True:
            written = self.model(
                encoder_outputs=(read,),
                attention_mask=mask,
                decoder_input_ids=ids,
                past_key_values=past,
                use_cache=True,
            )
            chosen = yield numbers(written.logits[:, -1])
            past = written.past_key_values
            ids, going = self._going(chosen, past)
            read, mask = read[going], mask[going]

    def continued(
        self, prompts: Sequence[Prompt], targets: Sequence[Sequence[int]]
    ) -> Iterator[Any]:
        rows = [
            [self._start, *prompt.opens, *ids][:-1]
            for prompt, ids in zip(prompts, targets, strict=True)
        ]
        read, mask = self._encoded(prompts)
        written = self.model(
            encoder_outputs=(read,),
            attention_mask=mask,
            decoder_input_ids=self.padded(rows, 0),
            use_cache=False,
        )
        for row, prompt, ids in zip(written.logits, prompts, targets, strict=True):
            yield numbers(row[len(prompt.opens) :][: len(ids)])

    def _encoded(self, prompts: Sequence[Prompt]) -> tuple[Any, Any]:
        rows = [prompt.reads for prompt in prompts]
        mask = self.mask(rows)
        read = self.model.get_encoder()(input_ids=self.padded(rows, 0), attention_mask=mask)
        return read.last_hidden_state, mask
