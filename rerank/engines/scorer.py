"""Cross-encoders and encoders in this process: a number for a query and a document.

Which of the two a checkpoint is, its own files say. Pairs wait here, and each poll computes one
batch of them; a score differs with its batch by rounding alone.
"""

import json
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import NamedTuple

from rerank.engines.lots import Lots
from rerank.engines.models.checkpoints import Files
from rerank.engines.models.encoders import CrossEncoder, Encoder, LateEncoder, PairModel, Text
from rerank.engines.models.late import ColBERT, late_form
from rerank.engines.models.matching import HEAD, Matcher
from rerank.engines.tokenisation.tokens import Tokens
from rerank.errors import EngineError, UsageError
from rerank.passages import Cut
from rerank.records import Usage
from rerank.wants import Pair, Reply, Request, Want

BATCH_TOKENS = (1536, 32768)
"""On a CPU, where few rows at once are the fastest; on a GPU."""


class Scorer:
    """A cross-encoder ("...ForSequenceClassification") or an encoder, on a CPU or GPU.

    `model` is a folder, a hub name, or "all-MiniLM-L6-v2", which is taken from the package that
    carries it where that is installed. `score_kind` says what its raw scores are: "logit" of a
    cross-encoder, else the encoder's `similarity`, "cosine", "dot" or "maxsim" (of all
    tokens, as ColBERT does; a checkpoint of PyLate's always is "maxsim"). Texts are cut at
    `max_length` tokens (by default the model's limit) and replies count what was cut. A batch
    holds at most `batch_tokens` tokens, padding included, or one pair.
    """

    wants: tuple[type[Want], ...] = (Pair,)

    def __init__(
        self,
        model: str,
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_tokens: int | None = None,
        max_length: int | None = None,
        similarity: str = "cosine",
        revision: str | None = None,
    ) -> None:
        if similarity not in ("cosine", "dot", "maxsim"):
            raise UsageError(f"similarity {similarity!r}: use cosine, dot or maxsim")
        files = Files(model, revision)
        self._model: PairModel
        if "ForSequenceClassification" in files.architecture:
            self._model = CrossEncoder(files, device, dtype, max_length)
        elif late_form(files):
            self._model = ColBERT(files, device, dtype, max_length)
        elif getattr(files.config, HEAD, False):
            self._model = Matcher(files, device, dtype, max_length)
        elif similarity == "maxsim":
            self._model = LateEncoder(files, device, dtype, max_length)
        else:
            self._model = Encoder(files, device, dtype, max_length, similarity)
        self.score_kind = self._model.score_kind
        tokens = Tokens(self._model.tokenizer)
        self.special_tokens = tokens.special
        self.cut: Cut | None = tokens.cut if self._model.tokenizer.is_fast else None
        self._batch_tokens = batch_tokens or BATCH_TOKENS[self._model.device != "cpu"]
        self._queue = Lots(self._batch_tokens, _Asked.place, _Asked.tokens)
        self._unread: list[tuple[Hashable, Pair]] = []
        self._refused: list[tuple[Hashable, Reply]] = []
        decides = json.dumps(self._model.decides, sort_keys=True)
        self.name = f"scorer {self._model.version} {decides}"

    def check(self, request: Request) -> None:
        """Raise `EngineError` for anything but a pair."""
        if not isinstance(request.want, Pair):
            raise EngineError("this model scores a query and a document, and writes nothing")

    def submit(self, ticket: Hashable, request: Request) -> None:
        """Queue one pair; one that cannot be read gets its reply from the next `poll`."""
        assert isinstance(request.want, Pair)
        self._unread.append((ticket, request.want))

    def poll(self) -> Iterable[tuple[Hashable, Reply]]:
        """What could not be read, else one batch. It raises if the model's memory is full."""
        unread, self._unread = self._unread, []
        self._read(unread)
        refused, self._refused = self._refused, []
        if refused or not (lot := self._queue.lot()):
            return refused
        rows = max(1, self._batch_tokens // lot[0].tokens())
        batch = lot[:rows]
        del lot[:rows]
        with self._model.computing():
            scored = self._model.score([asked.texts for asked in batch])
        return [
            (asked.ticket, asked.reply(score, cached))
            for asked, (score, cached) in zip(batch, scored, strict=True)
        ]

    def wake(self) -> None:
        """A poll is one batch, and soon over."""

    def cancel(self, tickets: Collection[Hashable]) -> None:
        self._unread = [asked for asked in self._unread if asked[0] not in tickets]
        self._queue.keep(lambda asked: asked.ticket not in tickets)

    def close(self) -> None:
        """Let go of the model; what is unfinished is forgotten."""
        self._unread.clear()
        self._queue.clear()
        self._refused.clear()
        self._model.close()

    def _read(self, unread: Sequence[tuple[Hashable, Pair]]) -> None:
        """Tokenise all together; where that is refused, look for whose fault it is."""
        if not unread:
            return
        try:
            read = self._model.read([(pair.query, pair.doc) for _, pair in unread])
        except (ValueError, TypeError) as refusal:
            if half := len(unread) // 2:
                self._read(unread[:half])
                self._read(unread[half:])
                return
            error = f"the tokenizer refuses the pair: {' '.join(str(refusal).split())}"
            self._refused.append((unread[0][0], Reply(error=error)))
        else:
            for (ticket, _), texts in zip(unread, read, strict=True):
                self._queue.add(_Asked(ticket, texts))


class _Asked(NamedTuple):
    ticket: Hashable
    texts: Sequence[Text]

    def tokens(self) -> int:
        return max(text.tokens for text in self.texts)

    def place(self) -> int:
        """Longest first."""
        return -self.tokens()

    def reply(self, score: float, cached: int) -> Reply:
        return Reply(
            scores=(score,),
            usage=Usage(sum(text.tokens for text in self.texts), cached),
            truncated=sum(text.cut for text in self.texts),
        )
