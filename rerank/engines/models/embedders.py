"""Models that make vectors of texts, to be kept and searched; two libraries, one protocol.

`Embedder` is our own encoder. `SentenceTransformers` serves what that refuses: models with more
layers than a pooling, or with code of their own.
"""

from collections.abc import Callable, Sequence
from json import dumps
from typing import Any, Protocol

from rerank.engines import folders
from rerank.engines.hub import refuse_unreachable
from rerank.errors import EngineError, UsageError, extra, in_a_line


class Embeds(Protocol):
    """Vectors are rows of 32-bit floats; with similarity "cosine" their length is 1."""

    name: str  # everything that decides a vector besides the text
    width: int
    prompts: tuple[str, str]  # what the model's files put before a query, and before a document

    def encode(self, texts: Sequence[str]) -> Any: ...


class Embedder:
    """An encoder of `encoders`, asked for the vectors themselves."""

    def __init__(
        self,
        model: str,
        *,
        similarity: str = "cosine",
        device: str = "auto",
        dtype: str = "auto",
        max_length: int | None = None,
        batch_tokens: int | None = None,
        revision: str | None = None,
    ) -> None:
        from rerank.engines.models.checkpoints import Files
        from rerank.engines.models.encoders import Encoder
        from rerank.engines.models.late import ColBERT, late_form
        from rerank.engines.scorer import BATCH_TOKENS

        files = Files(model, revision)
        self._model = (
            ColBERT(files, device, dtype, max_length)
            if late_form(files)
            else Encoder(files, device, dtype, max_length, similarity)
        )
        self._batch_tokens = batch_tokens or BATCH_TOKENS[self._model.device != "cpu"]
        self.name = f"embedder {self._model.version} {dumps(self._model.decides, sort_keys=True)}"
        self.width = self._model.width
        self.prompts = self._model.prompts

    def encode(self, texts: Sequence[str]) -> Any:
        with self._model.computing():
            vectors = self._model.vectors(texts, self._batch_tokens)
            return self._model.torch.stack(vectors).numpy()

    def encode_tokens(self, texts: Sequence[str]) -> list[Any]:
        """A row for each token of each text."""
        with self._model.computing():
            found = self._model.token_vectors(texts, self._batch_tokens)
            return [rows.numpy() for rows in found]


class SentenceTransformers:
    """A model as sentence-transformers loads it; the only place that imports it."""

    def __init__(
        self,
        model: str,
        *,
        similarity: str = "cosine",
        device: str = "auto",
        dtype: str = "auto",
        max_length: int | None = None,
        batch_tokens: int | None = None,
        revision: str | None = None,
    ) -> None:
        if batch_tokens:
            raise UsageError("sentence-transformers counts texts in a batch; leave batch_tokens")
        folders.refuse_missing(model)
        if "/" in model:  # a bare name may be one of the library's own organisation
            refuse_unreachable(model, revision)
        library = extra("sentence_transformers", "dense")
        self._model = _opened(library, model, device, dtype, revision)
        self._model.max_seq_length = max_length or self._model.max_seq_length
        self._normalized = similarity == "cosine"
        decides = {
            "dtype": str(self._model.dtype),
            "max_length": self._model.max_seq_length,
            "score": similarity,
        }
        version = revision or folders.state(model)
        self.name = f"sentence-transformers {model}@{version} {dumps(decides, sort_keys=True)}"
        self.width = self._model.get_embedding_dimension()
        prompts = self._model.prompts
        document = prompts.get("document") or prompts.get("passage") or ""
        self.prompts = prompts.get("query") or "", document

    def encode(self, texts: Sequence[str]) -> Any:
        options = {"normalize_embeddings": self._normalized, "show_progress_bar": False}
        return self._model.encode(list(texts), prompt="", **options)


def _opened(library: Any, model: str, device: str, dtype: str, revision: str | None) -> Any:
    precision = {} if dtype == "auto" else {"model_kwargs": {"dtype": dtype}}
    where = None if device == "auto" else device
    try:
        place = folders.place(model)
        return library.SentenceTransformer(place, device=where, revision=revision, **precision)
    except Exception as wrong:  # torch's own among them, as for a device that is none
        reason = in_a_line(wrong)
        raise EngineError(f"sentence-transformers cannot load {model!r}: {reason}") from wrong


EMBEDDERS: dict[str, Callable[..., Embeds]] = {
    "transformers": Embedder,
    "sentence-transformers": SentenceTransformers,
}
"""The libraries by the names that a recipe calls them."""
