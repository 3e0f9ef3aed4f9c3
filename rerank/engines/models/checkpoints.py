"""Model files become forward passes: the one module that knows torch and transformers.

It speaks token ids and tensors, and knows no request, reply or pair. What it hands out needs no
import to be used: tensors have methods.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from rerank.engines import folders
from rerank.engines.folders import PACKED
from rerank.engines.hub import refuse_unreachable
from rerank.engines.models.devices import device_of
from rerank.engines.models.packing import packed, unpacked
from rerank.errors import EngineError, UsageError, extra, in_a_line

WEIGHTS = "model.safetensors"
"""A folder's weights."""

UNBOUNDED = 10**9
"""A tokenizer without a limit states a number far beyond this."""


class Files:
    """Where a model's files are: a folder, the hub and its cache, or a package with them."""

    def __init__(self, model: str, revision: str | None = None) -> None:
        folders.refuse_missing(model)
        self.model, self.revision, self.place = model, revision, folders.place(model)
        self.torch = extra("torch", "transformers")
        self._transformers = extra("transformers", "transformers")
        refuse_unreachable(model, revision)

    @cached_property
    def config(self) -> Any:
        return self._from_pretrained("AutoConfig")

    def tokenizer(self) -> Any:
        return self._from_pretrained("AutoTokenizer")

    @property
    def version(self) -> str:
        """The model and the commit that its files are of, or the state of its folder."""
        found = self._find("config.json")
        commit = found.parent.name if found and found.parent.parent.name == "snapshots" else ""
        version = commit or self.revision or folders.state(self.place)
        return f"{self.model}@{version}" if version else self.model

    @property
    def architecture(self) -> str:
        return str((self.config.architectures or ["a checkpoint without a named architecture"])[0])

    def json(self, name: str) -> Any:
        """What a JSON file beside the weights holds, or `None` where there is no such file."""
        found = self._find(name)
        with self._reading():
            return json.loads(found.read_text(encoding="utf-8")) if found else None

    def tensors(self, name: str) -> dict[str, Any]:
        """What a file of weights holds, by name."""
        found = self._find(name)
        with self._reading():
            if found is None:
                raise ValueError(f"it has no {name}")
            tensors: dict[str, Any] = extra("safetensors.torch", "transformers").load_file(found)
            return tensors

    def weights(
        self, kind: str, device: str, dtype: Any, spare: Sequence[str], **options: Any
    ) -> Any:
        """The model. Weights that the files lack are an error, but for those called `spare`."""
        if getattr(self.config, PACKED, False):
            return self._unpacked(kind, spare, options).eval().to(device)
        options |= {"dtype": dtype, "output_loading_info": True}
        model, report = self._from_pretrained(kind, **options)
        wrong = [*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]
        with self._reading():
            if lacking := sorted(key for key in wrong if not any(name in key for name in spare)):
                raise ValueError(f"its files have no fitting weights for {lacking[0]}")
            return model.eval().to(device)

    def part(self, prefix: str) -> dict[str, Any]:
        """The model's own tensors whose names begin so, by the rest of their names."""
        state = unpacked(self.tensors(WEIGHTS))
        return {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}

    def _unpacked(self, kind: str, spare: Sequence[str], changes: Mapping[str, Any]) -> Any:
        """A model of its config, filled with weights that were packed; always in float32.

        An encoder's weights may become those of a model with a head.
        """
        with self._reading():
            self.config.update(changes)
            model = getattr(self._transformers, kind).from_config(self.config)
            state = unpacked(self.tensors(WEIGHTS))
            whole = not state.keys().isdisjoint(model.state_dict())
            lacking, _ = (model if whole else model.base_model).load_state_dict(state, strict=False)
            if lacking := sorted(key for key in lacking if not any(x in key for x in spare)):
                raise ValueError(f"its files have no fitting weights for {lacking[0]}")
            return model

    def _from_pretrained(self, kind: str, **options: Any) -> Any:
        with self._reading():
            auto = getattr(self._transformers, kind)
            return auto.from_pretrained(self.place, revision=self.revision, **options)

    def _find(self, name: str) -> Path | None:
        with self._reading():
            found = self._transformers.utils.cached_file(
                self.place,
                name,
                revision=self.revision,
                _raise_exceptions_for_missing_entries=False,
            )
        return Path(found) if found else None

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Keep transformers from saying anything."""
        log, hub = self._transformers.utils.logging, logging.getLogger("huggingface_hub")
        heard, verbosity, bars = hub.level, log.get_verbosity(), log.is_progress_bar_enabled()
        log.set_verbosity_error()
        hub.setLevel(logging.ERROR)
        log.disable_progress_bar()
        try:
            yield
        finally:
            log.set_verbosity(verbosity)
            hub.setLevel(heard)
            if bars:
                log.enable_progress_bar()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Keep transformers quiet, and turn whatever it raises into one line."""
        try:
            with self.quiet():
                yield
        except Exception as wrong:
            where = "" if Path(self.place).is_dir() else ", which is no folder here"
            reason = in_a_line(wrong)
            raise EngineError(f"cannot load {self.model!r}{where}: {reason}") from wrong


def tokenizer(model: str) -> Any:
    """A model's tokenizer alone, without its weights."""
    return Files(model).tokenizer()


class Loaded:
    """A model on its device with its tokenizer.

    `dtype` "auto" is float32 on a CPU, where bfloat16 gains nothing, and the checkpoint's own on a
    GPU. `positions` is how long an input the model can take at all, `advised` how long one its
    files say it should get; 0 where they say nothing.
    """

    unused: tuple[str, ...] = ()

    def __init__(
        self,
        files: Files,
        kind: str,
        device: str,
        dtype: str,
        spare: Sequence[str] = (),
        **options: Any,
    ) -> None:
        self.torch, self.version, self.tokenizer = files.torch, files.version, files.tokenizer()
        self._files = files
        self.device = device_of(self.torch, device)
        self.model: Any = files.weights(kind, self.device, self._dtype(dtype), spare, **options)
        self.precision = str(self.model.dtype).removeprefix("torch.")
        text = self.model.config.get_text_config()
        self.positions = _limit(getattr(text, "max_position_embeddings", 0))
        stated = self.tokenizer.model_max_length
        self.advised = _limit(getattr(text, "n_positions", 0)) or _limit(stated)
        self.tokenizer.model_max_length = 10 * UNBOUNDED  # or it warns on stderr

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Where forward passes run: no gradients, and a full GPU says what to lower."""
        try:
            with self.torch.inference_mode():
                yield
        except self.torch.OutOfMemoryError:
            raise EngineError("the GPU's memory is full; lower batch_tokens") from None

    def padded(self, rows: Sequence[Sequence[int]], fill: int, left: bool = False) -> Any:
        """Rows of ids as one tensor, filled up at the right or the left."""
        width = max(map(len, rows))
        blanks = [[fill] * (width - len(row)) for row in rows]
        pairs = zip(rows, blanks, strict=True)
        full = [[*blank, *row] if left else [*row, *blank] for row, blank in pairs]
        return self.moved(self.torch.tensor(full))

    def moved(self, tensor: Any) -> Any:
        """The same on the model's device, which is not waited for."""
        if self.device == "cpu":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def mask(self, rows: Sequence[Sequence[int]], left: bool = False) -> Any:
        return self.padded([[1] * len(row) for row in rows], 0, left)

    def save(self, folder: str, limit: int) -> None:
        """Write config, weights, tokenizer; `limit` is how long a text may be, 0 for no limit."""
        self.tokenizer.model_max_length = limit or 10 * UNBOUNDED
        with self._files.quiet():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)

    def save_packed(self, folder: str, limit: int) -> None:
        """The same in a quarter of the bytes, without the weights that are `unused`."""
        setattr(self.model.config, PACKED, True)
        self.model.config.architectures = [type(self.model).__name__]
        self.tokenizer.model_max_length = limit or 10 * UNBOUNDED
        state = {
            key: weights.detach().cpu()
            for key, weights in self.model.state_dict().items()
            if not any(name in key for name in self.unused)
        }
        with self._files.quiet():
            self.model.config.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        words = Path(folder) / "tokenizer.json"
        words.write_text(
            json.dumps(json.loads(words.read_text("utf-8")), ensure_ascii=False), "utf-8"
        )
        extra("safetensors.torch", "transformers").save_file(
            packed(state), str(Path(folder) / WEIGHTS), {"format": "pt"}
        )

    def close(self) -> None:
        """Let go of the model and of the GPU memory that it held."""
        self.model = None
        self.torch.cuda.empty_cache()

    def _dtype(self, named: str) -> Any:
        if named == "auto":
            return self.torch.float32 if self.device == "cpu" else "auto"
        if named not in ("float32", "bfloat16", "float16"):
            raise UsageError(f"dtype {named!r}: use auto, float32, bfloat16 or float16")
        return getattr(self.torch, named)


def _limit(stated: Any) -> int:
    return stated if isinstance(stated, int) and 0 < stated < UNBOUNDED else 0


def numbers(scores: Any) -> Any:
    """The same tensor in float32, if its scores are numbers: in float16 some models overflow.

    Who learns looks at the loss, and need not wait here for a GPU.
    """
    if not scores.requires_grad and scores.isnan().any():
        raise EngineError("the model's scores are not numbers; use dtype bfloat16 or float32")
    return scores.float()


def widened(head: Any) -> Any:
    """The last layer, made to compute in float32: what bfloat16 scores is full of ties."""
    head.float().register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
    return head


def save_decoder(
    folder: Path, config: dict[str, Any], weights: Mapping[str, Any], spells: Any, *ends: str
) -> None:
    """Write a Qwen3 of weights that were computed: arrays by their names, stored in bfloat16.

    `spells` is its tokenizer, of the tokenizers library, `ends` its first token and its last.
    """
    torch, library = extra("torch", "train"), extra("transformers", "train")
    model = library.Qwen3ForCausalLM(library.Qwen3Config(**config))
    tensors = {name: torch.from_numpy(part).float() for name, part in weights.items()}
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    model.load_state_dict(tensors)
    model.to(torch.bfloat16).save_pretrained(folder)
    begins, ends_with = ends
    library.PreTrainedTokenizerFast(
        tokenizer_object=spells,
        bos_token=begins,
        eos_token=ends_with,
        pad_token=ends_with,
        model_max_length=config["max_position_embeddings"],
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
