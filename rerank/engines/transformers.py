"""transformers in this process: text, label scores and likelihoods, without a server or vLLM.

Requests wait here, and each poll computes one batch of them. Padding is masked and
chance is drawn row by row, so a reply differs with its batch by rounding alone.
"""

import json
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rerank.engines.lots import Lots
from rerank.engines.models.decoders import LanguageModel, Prompt, language_model
from rerank.engines.tokenisation.spelling import Spelling
from rerank.errors import EngineError
from rerank.records import Usage
from rerank.wants import Labels, Likelihood, Logits, Reply, Request, Text, Want


class Transformers:
    """A language model on this machine's CPU or GPU: a decoder, or an encoder with one (T5).

    A batch holds at most `batch_tokens` tokens, padding and tokens to be written included, or one
    request. What exceeds `max_model_len` (by default what the model was made for) comes back as
    `overflow`. Text comes without special tokens, as from vLLM: "</think>" stays where it is an
    ordinary token (Qwen3), and is lost where the tokenizer calls it special.
    """

    wants: tuple[type[Want], ...] = (Text, Labels, Logits, Likelihood)

    def __init__(
        self,
        model: str,
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_tokens: int = 8192,
        max_model_len: int | None = None,
        chat_template_options: dict[str, Any] | None = None,
        revision: str | None = None,
    ) -> None:
        self._model = language_model(model, device, dtype, revision)
        self._spelling = Spelling(
            self._model.tokenizer, chat_template_options, self._model.two_sided
        )
        self.special_tokens, self.cut = self._spelling.special, self._spelling.cut
        self._context = _context(self._model, max_model_len)
        self._batch_tokens = batch_tokens
        self._queue = Lots(batch_tokens, _Asked.place, _Asked.size)
        self._ready: list[tuple[Hashable, Reply]] = []
        decides = {
            "dtype": self._model.precision,
            "max_model_len": self._context,
            "chat_template_options": chat_template_options,
        }
        self.name = (
            f"transformers {self._model.version} {json.dumps(decides, sort_keys=True, default=str)}"
        )

    def check(self, request: Request) -> None:
        """Raise `EngineError` where this model cannot answer a request of this form exactly."""
        if not isinstance(request.want, self.wants):
            raise EngineError("a language model scores no pairs; the scorer engine does")
        self._spelling.spell(request)

    def submit(self, ticket: Hashable, request: Request) -> None:
        """Queue one request; one that cannot be computed gets its reply from the next `poll`."""
        try:
            asked = _Asked(ticket, request.want, *self._spelling.spell(request))
        except EngineError as refusal:
            self._ready.append((ticket, Reply(error=str(refusal))))
            return
        sides = len(asked.prompt.reads), len(asked.prompt.opens) + asked.adds
        length = max(sides) if self._model.two_sided else sum(sides)
        if length > self._context:
            self._ready.append((ticket, Reply(overflow=length - self._context)))
        else:
            self._queue.add(asked)

    def poll(self) -> Iterable[tuple[Hashable, Reply]]:
        """What could not be computed, else one batch. It raises if the model's memory is full."""
        ready, self._ready = self._ready, []
        if ready or not (lot := self._queue.lot()):
            return ready
        batch = self._batch(lot)
        with self._model.computing():
            replies = self._replies(batch)
        return [(asked.ticket, reply) for asked, reply in zip(batch, replies, strict=True)]

    def wake(self) -> None:
        """A poll is one batch, and soon over."""

    def cancel(self, tickets: Collection[Hashable]) -> None:
        self._queue.keep(lambda asked: asked.ticket not in tickets)

    def close(self) -> None:
        """Let go of the model; what is unfinished is forgotten."""
        self._queue.clear()
        self._ready.clear()
        self._model.close()

    def _batch(self, lot: list["_Asked"]) -> list["_Asked"]:
        """Taken out of the lot: the longest, and those that begin as it does, read once for all.

        Where too few do, it is the next longest that go with it, so that there is little padding.
        """
        longest = lot[0]
        rows = max(1, self._batch_tokens // longest.length)
        alike = [asked for asked in lot if asked.kind == longest.kind]
        start = longest.prompt.reads[: longest.length // 3 if self._model.shares else 0]
        akin = [asked for asked in alike if asked.prompt.reads[: len(start)] == start]
        batch = (akin if len(akin) >= max(2, min(rows, len(alike)) / 2) else alike)[:rows]
        taken = set(map(id, batch))
        lot[:] = [asked for asked in lot if id(asked) not in taken]
        return batch

    def _replies(self, batch: Sequence["_Asked"]) -> list[Reply]:
        prompts = [asked.prompt for asked in batch]
        targets = [asked.target for asked in batch]
        if isinstance(batch[0].want, Text):
            return self._written(batch)
        if isinstance(batch[0].want, Labels | Logits):
            raw = isinstance(batch[0].want, Logits)
            scores = self._model.label_scores(prompts, targets, raw)
        else:
            scores = [(total,) for total in self._model.likelihoods(prompts, targets)]
        return [
            Reply(scores=found, usage=Usage(prompt_tokens=asked.tokens))
            for asked, found in zip(batch, scores, strict=True)
        ]

    def _written(self, batch: Sequence["_Asked"]) -> list[Reply]:
        texts = [_Writing(asked, self._model) for asked in batch]
        steps = self._model.follow([asked.prompt for asked in batch])
        scores, going = next(steps), texts
        while True:
            likeliest = scores.argmax(-1).tolist()
            tokens = [
                text.take(row, token)
                for text, row, token in zip(going, scores, likeliest, strict=True)
            ]
            if not (going := [text for text in going if not text.done]):
                return [text.reply() for text in texts]
            scores = steps.send(tokens)


class _Asked(NamedTuple):
    ticket: Hashable
    want: Want
    prompt: Prompt
    target: tuple[int, ...]

    @property
    def kind(self) -> tuple[str, int]:
        """What must be equal within a batch."""
        return type(self.want).__name__, len(self.prompt.opens)

    @property
    def tokens(self) -> int:
        """How many tokens the model reads."""
        continued = len(self.target) if isinstance(self.want, Likelihood) else 0
        return len(self.prompt.reads) + len(self.prompt.opens) + continued

    @property
    def adds(self) -> int:
        """How many tokens follow the prompt, with the one that vLLM writes after a continuation."""
        if isinstance(self.want, Text):
            return self.want.max_tokens
        return len(self.target) + 1 if isinstance(self.want, Likelihood) else 1

    @property
    def length(self) -> int:
        return len(self.prompt.reads) + len(self.prompt.opens) + self.adds

    def size(self) -> int:
        return self.length

    def place(self) -> tuple[tuple[str, int], int]:
        return self.kind, -self.length


@dataclass
class _Writing:
    """One text on its way."""

    asked: _Asked
    model: LanguageModel
    ids: list[int] = field(default_factory=list)
    done: bool = False
    finished: bool = False

    def __post_init__(self) -> None:
        assert isinstance(self.asked.want, Text)
        self.want = self.asked.want
        self.dice = self.model.dice(self.want.seed) if self.want.temperature > 0 else None

    def take(self, scores: Any, likeliest: int) -> int | None:
        """Choose the next token; `None` if it was the last."""
        token = likeliest if self.dice is None else self._drawn(scores)
        self.ids.append(token)
        self.finished = token in self.model.ends or self._stopped()
        self.done = self.finished or len(self.ids) >= self.want.max_tokens
        return None if self.done else token

    def reply(self) -> Reply:
        ended = self.ids[-1] in self.model.ends
        text = self._text(self.ids[:-1] if ended else self.ids)
        stops = [at for stop in self.want.stop if (at := text.find(stop)) >= 0]
        usage = Usage(self.asked.tokens, completion_tokens=len(self.ids))
        return Reply(text[: min(stops, default=None)], usage=usage, finished=self.finished)

    def _drawn(self, scores: Any) -> int:
        chances = (scores / self.want.temperature).softmax(-1).cpu()
        return int(chances.multinomial(1, generator=self.dice))

    def _stopped(self) -> bool:
        """Whether a stop string has just appeared: one of n bytes is in the last n tokens."""
        if not self.want.stop:
            return False
        bytes_needed = max(len(stop.encode()) for stop in self.want.stop)
        end = self._text(self.ids[-bytes_needed - 4 :])
        return any(stop in end for stop in self.want.stop)

    def _text(self, ids: list[int]) -> str:
        return str(self.model.tokenizer.decode(ids, skip_special_tokens=True))


def _context(model: LanguageModel, asked: int | None) -> int:
    """How many tokens fit; more than the model has positions for is an error."""
    made_for = model.positions or model.advised
    if asked is None and not made_for:
        raise EngineError(f"{model.version} states no context length; give max_model_len")
    if asked and model.positions and asked > model.positions:
        raise EngineError(f"max_model_len {asked}: {model.version} has {model.positions} positions")
    return asked or made_for
