"""Who answers: the relevance judgments, or a language model wearing a prompt.

A judge knows the query and the documents of a question. It does not know which strategy asks,
or what comes next.
"""

import random
from bisect import bisect_right
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

from rerank.beliefs import BELIEFS, Belief
from rerank.engines import Engine
from rerank.errors import EngineError
from rerank.prompts import Prompt, Wording, forms, question_over
from rerank.questions import Compare, Order, Pick, Question, Rate
from rerank.records import NO_USAGE, Answer, Doc, Query, Status, Usage
from rerank.stopwatch import stage
from rerank.wants import Reply, Request

EXPECTED = 20  # documents that are expected together
BYTES_A_TOKEN = 4
"""A little less than in English, to leave out rather too little; another try knows better."""


class Oracle:
    """Answers from the judgments: the ceiling of every table, and a model that costs nothing.

    With `like` it errs as a model does, a row of BELIEFS: grades become that model's beliefs.
    `noise` is the standard deviation of an error on each grade, `bias` a bonus in grades for the
    document that is shown first. Errors depend on the seed and the question alone, so a run is
    the same in any order of answers.
    """

    def __init__(
        self,
        qrels: Mapping[str, Mapping[str, float]],
        noise: float = 0.0,
        bias: float = 0.0,
        seed: int = 0,
        like: str | None = None,
    ) -> None:
        self.qrels, self.noise, self.bias, self.seed = qrels, noise, bias, seed
        self.belief = BELIEFS[like] if like else None
        self._kept: dict[tuple[str, str], float] = {}
        self._answered: list[tuple[Hashable, Answer]] = []

    def submit(self, ticket: Hashable, query: Query, question: Question[Any]) -> None:
        """Answer at once; `poll` hands it over."""
        self._answered.append((ticket, Answer(self._answer(query, question))))

    def poll(self) -> Iterable[tuple[Hashable, Answer]]:
        """Everything that was asked since the last time."""
        answered, self._answered = self._answered, []
        return answered

    def _answer(self, query: Query, question: Question[Any]) -> Any:
        gains = self._gains(query, question)
        match question:
            case Rate():
                return gains[0]
            case Compare():
                return 0.5 if gains[0] == gains[1] else float(gains[0] > gains[1])
            case Pick():
                return gains
            case Order(docs):
                places = sorted(range(len(docs)), key=gains.__getitem__, reverse=True)
                return [docs[place] for place in places]
        raise TypeError(f"the oracle was asked {question!r}")

    def _gains(self, query: Query, question: Question[Any]) -> list[float]:
        """What each document of a question seems to be worth."""
        grades = self.qrels.get(query.id, {})
        ids = [doc.id for doc in question.documents]
        gains: list[float] = [grades.get(name, 0) for name in ids]
        if self.belief or self.noise:
            chance = random.Random(f"{self.seed} {query.id} {type(question).__name__} {ids}")
            if self.belief:
                known = [(query.id, name) for name in ids]
                gains = self._believed(self.belief, known, gains, chance)
            gains = [gain + chance.gauss(0, self.noise) for gain in gains]
        if len(gains) > 1:
            gains[0] += self.bias
        return gains

    def _believed(
        self,
        belief: Belief,
        known: Sequence[tuple[str, str]],
        grades: Sequence[float],
        chance: random.Random,
    ) -> list[float]:
        """What it takes documents for: with an error that it keeps, and one of this question."""
        fresh = sqrt(1 - belief.kept)
        believed = []
        for pair, (mean, spread) in zip(known, map(belief.at, grades), strict=True):
            if pair not in self._kept:
                own = random.Random(f"{self.seed} {pair}")
                self._kept[pair] = own.gauss(0, sqrt(belief.kept))
            believed.append(mean + spread * (self._kept[pair] + chance.gauss(0, fresh)))
        return believed


@dataclass(slots=True)
class _Asked:
    """A question that is out, as it was last worded and asked, and what its tries have cost."""

    query: Query
    question: Question[Any]
    wording: Wording
    request: Request
    usage: Usage = NO_USAGE
    too_long: tuple[int, int] = (0, 0)  # the last time: bytes of passages, tokens too many


class LLMJudge:
    """Words each question with a prompt, has an engine reply, reads the answer back.

    A prompt that is too long for the model is worded again with shorter passages, the longest
    cut to the same number of words, until it fits (algorithms.md section 2.5).
    """

    def __init__(self, prompt: Prompt, engine: Engine) -> None:
        self.prompt, self.engine = prompt.fitted(engine.special_tokens, engine.cut), engine
        self._asked: dict[Hashable, _Asked] = {}

    def check(self, docs: int) -> None:
        """Raise EngineError unless questions over up to `docs` documents can be answered."""
        if self.prompt.file.tokens and not self.engine.cut:
            raise EngineError(
                f"prompt {self.prompt.name} cuts passages at {self.prompt.file.tokens} tokens,"
                " but this engine has no tokenizer here: give it 'words' instead of 'tokens'"
            )
        for request in forms(self.prompt, max(docs, 2)):
            if type(request.want) not in self.engine.wants:
                offers = ", ".join(want.__name__ for want in self.engine.wants)
                raise EngineError(
                    f"prompt {self.prompt.name} wants {type(request.want).__name__},"
                    f" but this engine serves {offers}: choose another prompt or engine"
                )
            self.engine.check(request)

    def expect(self, query: Query, docs: Sequence[Doc]) -> None:
        """These will be shown, a few at a time: an engine with `expect` gets ready meanwhile.

        What is asked about at once, a short list or one document by one, is not worth it.
        """
        get_ready = getattr(self.engine, "expect", None)
        if not get_ready or self.prompt.asks not in (Order, Pick) or len(docs) <= EXPECTED:
            return
        for end in range(len(docs), 0, -EXPECTED):  # windows slide from the bottom
            question = question_over(self.prompt.asks, docs[max(end - EXPECTED, 0) : end])
            with stage("prompt"):
                request = self.prompt.wording(query, question).request
            get_ready(request)

    def submit(self, ticket: Hashable, query: Query, question: Question[Any]) -> None:
        """Word the question and send it off."""
        with stage("prompt"):
            wording = self.prompt.wording(query, question)
        self._asked[ticket] = _Asked(query, question, wording, wording.request)
        with stage("submit"):
            self.engine.submit(ticket, wording.request)

    def poll(self) -> Iterable[tuple[Hashable, Answer]]:
        """Answers to whatever the engine has finished; what is too long or not all is asked on.

        Raises EngineError for an engine that has nothing to say to what it was asked.
        """
        with stage("wait"):
            replies = list(self.engine.poll())
        if self._asked and not replies:
            raise EngineError(
                f"engine {self.engine.name} gave no reply to {len(self._asked)} requests"
            )
        with stage("read"):
            return [
                (ticket, self._answer(self._asked.pop(ticket), reply))
                for ticket, reply in replies
                if ticket in self._asked and not self._asked_on(ticket, reply)
            ]

    def wake(self) -> None:
        """From any thread: let a poll that waits for long return now."""
        self.engine.wake()

    def cancel(self, tickets: Collection[Hashable]) -> None:
        """Nobody waits for the answers to these questions any more."""
        for ticket in tickets:
            self._asked.pop(ticket, None)
        self.engine.cancel(tickets)

    def _answer(self, asked: _Asked, reply: Reply) -> Answer:
        usage, wording = asked.usage + reply.usage, asked.wording
        truncated, cut = wording.truncated + bool(reply.truncated), wording.cut
        if reply.overflow or reply.error:
            error = reply.error or "the prompt does not fit the model, even without its passages"
            return Answer(None, Status.FAILED, usage, truncated, cut, error)
        value, status = self.prompt.read(reply, asked.question)
        return Answer(value, status, usage, truncated, cut)

    def _asked_on(self, ticket: Hashable, reply: Reply) -> bool:
        """Whether a reply is not the last: the question went out again, shorter or for more."""
        return self._shorten(ticket, reply) if reply.overflow else self._go_on(ticket, reply)

    def _go_on(self, ticket: Hashable, reply: Reply) -> bool:
        """Ask for the scores that a thought was written for; false if this was the whole reply."""
        asked = self._asked[ticket]
        then = self.prompt.goes_on(asked.request, reply, len(asked.question.documents))
        if then is None:
            return False
        self._send(ticket, asked, then, reply)
        return True

    def _shorten(self, ticket: Hashable, reply: Reply) -> bool:
        """Send the question again with fewer words; false if none is left.

        By the bytes that a token had in what was cut the last time, and by half of all at the most.
        """
        asked = self._asked[ticket]
        passages = asked.wording.passages
        words, size = [each.words for each in passages], sum(each.size for each in passages)
        if not (total := sum(words)):
            return False
        size_before, before = asked.too_long
        fell = before - reply.overflow
        a_token = (size_before - size) / fell if fell > 0 else BYTES_A_TOKEN
        asked.too_long = size, reply.overflow
        fewer = max(ceil(reply.overflow * a_token * total / size), 1)
        limit = _limit(words, total - min(fewer, ceil(total / 2)))
        with stage("prompt"):
            asked.wording = self.prompt.wording(asked.query, asked.question, limit)
        self._send(ticket, asked, asked.wording.request, reply)
        return True

    def _send(self, ticket: Hashable, asked: _Asked, request: Request, reply: Reply) -> None:
        asked.request = request
        asked.usage += reply.usage
        with stage("submit"):
            self.engine.submit(ticket, request)


def _limit(words: Sequence[int], left: int) -> int:
    """The most words for each passage that leave at most `left` in all, so the longest give way."""

    def shown(limit: int) -> int:
        return sum(min(count, limit) for count in words)

    return bisect_right(range(max(words)), left, key=shown) - 1
