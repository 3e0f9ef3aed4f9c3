"""Models that score pairs: a cross-encoder reads both texts at once, an encoder one by one.

They take texts and give raw scores in float32. Padding stands at the right and is masked. How an
encoder makes one vector of many tokens is read from the files that sentence-transformers writes
beside the weights, and what is unknown there is an error: a wrong pooling scores, but badly.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from rerank.engines.models.checkpoints import UNBOUNDED, Files, Loaded, numbers, widened
from rerank.engines.models.pooling import VectorForm, pooled, vector_form
from rerank.errors import EngineError, UsageError

KEPT = 40_000_000
"""How many numbers of vectors an encoder remembers: 160 MB, 100 000 texts of MiniLM's."""

READ_AT_ONCE = 64
"""Texts for one call of the tokenizer: enough that the call costs little, however long they are."""

HEADS = ("classifier", "score", "head", "pooler")
"""What transformers calls the weights between a model and its labels."""


@dataclass(slots=True)
class Text:
    """What the model reads of one text or one pair, and how many tokens of it were cut.

    Once there is a vector, `inputs` is empty.
    """

    inputs: dict[str, list[int]]
    tokens: int
    cut: int
    vector: Any = None


class Scored(NamedTuple):
    score: float
    cached: int = 0  # tokens whose vector was there already


class PairModel(Loaded):
    """What both kinds have in common: how texts are read, cut and padded."""

    score_kind: str

    def __init__(
        self,
        files: Files,
        kind: str,
        device: str,
        dtype: str,
        spare: Sequence[str],
        limit: int | None,
        **options: Any,
    ) -> None:
        super().__init__(files, kind, device, dtype, spare, **options)
        longest = min(size for size in (self.advised, self.positions, UNBOUNDED) if size)
        if limit is not None and limit < 1:
            raise UsageError(f"max_length is {limit}; it must be 1 or more")
        if limit is None and longest == UNBOUNDED:
            raise EngineError(f"{files.model} states no length limit; give max_length")
        if limit and limit > longest:
            raise EngineError(f"max_length {limit}: {files.model} takes {longest} tokens")
        self.limit = limit or longest
        padding = (self.tokenizer.pad_token_id, self.model.config.get_text_config().pad_token_id)
        self.padding: int = next((token for token in padding if token is not None), 0)

    @property
    def decides(self) -> dict[str, Any]:
        """What decides a score besides the weights."""
        return {"dtype": self.precision, "max_length": self.limit, "score": self.score_kind}

    def read(self, pairs: Sequence[tuple[str, str]]) -> list[Sequence[Text]]:
        """What `score` wants of each pair; tokens beyond the limit are cut, and counted."""
        raise NotImplementedError

    def score(self, pairs: Sequence[Sequence[Text]]) -> list[Scored]:
        raise NotImplementedError

    def _texts(self, *sides: Sequence[str]) -> list[Text]:
        """Texts, or pairs of them, as the model reads them."""
        starts = range(0, len(sides[0]), READ_AT_ONCE)
        some = ([side[start : start + READ_AT_ONCE] for side in sides] for start in starts)
        return [text for part in some for text in self._some_texts(part)]

    def _some_texts(self, sides: Sequence[Sequence[str]]) -> Iterator[Text]:
        """Of two texts the longer one is cut first, as cross-encoders are trained and evaluated."""
        rows = self._rows(sides)
        over = [max(0, len(row["input_ids"]) - self.limit) for row in rows]
        long = [i for i, excess in enumerate(over) if excess]
        again = [[side[i] for i in long] for side in sides]
        cut = self._rows(again, truncation="longest_first", max_length=self.limit)
        for i, row in zip(long, cut, strict=True):
            rows[i] = row
        for row, excess in zip(rows, over, strict=True):
            yield Text(row, len(row["input_ids"]), excess)

    def _rows(self, sides: Sequence[Sequence[str]], **options: Any) -> list[dict[str, list[int]]]:
        """What the tokenizer gives for each text or pair."""
        if not sides[0]:
            return []
        read = self.tokenizer(*map(list, sides), **options)
        return [dict(zip(read, row, strict=True)) for row in zip(*read.values(), strict=True)]

    def _run(self, texts: Sequence[Text]) -> tuple[Any, Any]:
        """The model's output for a batch, and the mask of real tokens."""
        inputs = {
            name: self.padded(
                [text.inputs[name] for text in texts], self.padding if name == "input_ids" else 0
            )
            for name in texts[0].inputs
        }
        return self.model(**inputs), inputs["attention_mask"]


class CrossEncoder(PairModel):
    """tokenizer(query, doc) -> logit; of two labels, how far "relevant" is above the other.

    Only a query that fills more than half of the limit is cut itself. With `new_head` the model
    may be any encoder or decoder: it gets one label with weights of chance, to be trained.
    """

    score_kind = "logit"

    def __init__(
        self, files: Files, device: str, dtype: str, limit: int | None, new_head: bool = False
    ) -> None:
        self._labels = 1 if new_head else files.config.num_labels
        if self._labels not in (1, 2):
            raise EngineError(f"{files.model} has {self._labels} labels; a scorer has one or two")
        kind = "AutoModelForSequenceClassification"
        made = {"num_labels": 1} if new_head else {}
        super().__init__(files, kind, device, dtype, HEADS if new_head else (), limit, **made)
        # A decoder scores at its last token that is not this one.
        self.model.config.get_text_config().pad_token_id = self.padding
        if self.precision != "float32":
            layers = self.model.modules()
            heads = [layer for layer in layers if getattr(layer, "out_features", 0) == self._labels]
            for head in heads[-1:]:
                widened(head)

    def read(self, pairs: Sequence[tuple[str, str]]) -> list[Sequence[Text]]:
        queries, docs = zip(*pairs, strict=True)
        return [[text] for text in self._texts(queries, docs)]

    def score(self, pairs: Sequence[Sequence[Text]]) -> list[Scored]:
        return [Scored(score) for score in self.logits(pairs).tolist()]

    def logits(self, pairs: Sequence[Sequence[Text]]) -> Any:
        """The scores as a tensor, through which gradients flow where they are wanted."""
        output, _ = self._run([text for [text] in pairs])
        logits = numbers(output.logits)
        return logits[:, 0] if self._labels == 1 else logits[:, 1] - logits[:, 0]


class Encoder(PairModel):
    """One vector for a text; a pair's score is how alike its two vectors are.

    A text is computed once: the vectors of the texts that were read last are remembered, as many
    as `KEPT` numbers are.
    """

    def __init__(
        self,
        files: Files,
        device: str,
        dtype: str,
        limit: int | None,
        similarity: str,
        form: VectorForm | None = None,
    ) -> None:
        self._form = form or vector_form(files)
        self.score_kind = similarity
        limit = self._form.max_length if limit is None else limit
        super().__init__(files, "AutoModel", device, dtype, ("pooler",), limit)
        self._known: OrderedDict[bytes, Text] = OrderedDict()
        self._kept = max(2, KEPT // self._numbers_kept())

    @property
    def decides(self) -> dict[str, Any]:
        return super().decides | self._form._asdict() | {"max_length": self.limit}

    def read(self, pairs: Sequence[tuple[str, str]]) -> list[Sequence[Text]]:
        before_query, before_doc = self.prompts
        sides = [(before_query + query, before_doc + doc) for query, doc in pairs]
        texts = self._remembered([text for side in sides for text in side])
        return list(zip(texts[::2], texts[1::2], strict=True))

    def score(self, pairs: Sequence[Sequence[Text]]) -> list[Scored]:
        cached = [sum(text.tokens for text in pair if text.vector is not None) for pair in pairs]
        for side in zip(*pairs, strict=True):  # queries are short: padded to a document they cost
            self._embed(list({id(text): text for text in side if text.vector is None}.values()))
        left, right = ([text.vector for text in side] for side in zip(*pairs, strict=True))
        return [Scored(*found) for found in zip(self._alike(left, right), cached, strict=True)]

    def _alike(self, left: Sequence[Any], right: Sequence[Any]) -> list[float]:
        found: list[float] = (self.torch.stack(left) * self.torch.stack(right)).sum(-1).tolist()
        return found

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return int(self.model.config.get_text_config().hidden_size)

    @property
    def prompts(self) -> tuple[str, str]:
        """What the model's files put before a query, and before a document."""
        return self._form.query_prompt, self._form.doc_prompt

    def vectors(self, texts: Sequence[str], batch_tokens: int) -> list[Any]:
        """One vector for each text, which is not remembered; similar lengths share a batch."""
        return self._in_batches(texts, batch_tokens, self._embed)

    def token_vectors(self, texts: Sequence[str], batch_tokens: int) -> list[Any]:
        """For each text a row of numbers, of length 1, for each of its tokens."""
        return self._in_batches(texts, batch_tokens, self._embed_tokens)

    def _in_batches(
        self, texts: Sequence[str], batch_tokens: int, embed: Callable[[Sequence[Text]], None]
    ) -> list[Any]:
        read = self._texts(self._cased(texts))
        waiting = sorted(read, key=lambda text: text.tokens, reverse=True)
        while waiting:
            rows = max(1, batch_tokens // waiting[0].tokens)
            embed(waiting[:rows])
            del waiting[:rows]
        return [text.vector for text in read]

    def _numbers_kept(self) -> int:
        """How many numbers are remembered of one text, at the most."""
        return self.width

    def _remembered(self, texts: Sequence[str]) -> list[Text]:
        cased = self._cased(texts)
        keys = [sha256(text.encode("utf-8", "surrogatepass")).digest() for text in cased]
        found = {key: self._known[key] for key in keys if key in self._known}
        new = {key: text for key, text in zip(keys, cased, strict=True) if key not in found}
        found |= zip(new, self._texts([*new.values()]), strict=True)
        self._known |= found
        for key in found:
            self._known.move_to_end(key)
        while len(self._known) > self._kept:
            self._known.popitem(last=False)
        return [found[key] for key in keys]

    def _cased(self, texts: Sequence[str]) -> list[str]:
        return [text.lower() if self._form.lower else text for text in texts]

    def _embed(self, texts: Sequence[Text]) -> None:
        if not texts:
            return
        output, mask = self._run(texts)
        vectors = pooled(self._form.pooling, numbers(output.last_hidden_state), mask)
        if self._form.normalized or self.score_kind == "cosine":
            vectors = vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        for text, vector in zip(texts, vectors.cpu(), strict=True):
            text.vector, text.inputs = vector, {}

    def _embed_tokens(self, texts: Sequence[Text]) -> None:
        if not texts:
            return
        output, _ = self._run(texts)
        states = numbers(output.last_hidden_state)
        states = states / states.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        for text, rows in zip(texts, states.cpu(), strict=True):
            text.vector, text.inputs = rows[: text.tokens], {}


class LateEncoder(Encoder):
    """A vector for each token; a pair's score is MaxSim (Khattab & Zaharia 2020).

    Each token of the query counts with its most alike token of the document. As many numbers are
    remembered as of single vectors, so fewer texts.
    """

    def __init__(
        self,
        files: Files,
        device: str,
        dtype: str,
        limit: int | None,
        form: VectorForm | None = None,
    ) -> None:
        super().__init__(files, device, dtype, limit, "maxsim", form)

    def _numbers_kept(self) -> int:
        return self.limit * super()._numbers_kept()

    def _embed(self, texts: Sequence[Text]) -> None:
        self._embed_tokens(texts)

    def _alike(self, left: Sequence[Any], right: Sequence[Any]) -> list[float]:
        pairs = zip(left, right, strict=True)
        return [float((query @ doc.T).max(dim=1).values.sum()) for query, doc in pairs]
