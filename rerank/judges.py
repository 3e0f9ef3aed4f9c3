"""Who answers: the relevance judgments, or a language model wearing a prompt.

A judge knows the query and the documents of a question. It does not know which strategy asks,
or what comes next.
"""

import random
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rerank.engines import Engine
from rerank.errors import EngineError
from rerank.prompts import Prompt, Wording, sample
from rerank.questions import Compare, Order, Pick, Question, Rate
from rerank.records import Answer, Doc, Query, Status, Usage
from rerank.wants import Reply


class Oracle:
    """Answers from the judgments: the ceiling of every table, and a model that costs nothing.

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
    ) -> None:
        self.qrels, self.noise, self.bias, self.seed = qrels, noise, bias, seed
        self._answered: list[tuple[Hashable, Answer]] = []

    def submit(self, ticket: Hashable, query: Query, question: Question[Any]) -> None:
        """Answer at once; `poll` hands it over."""
        self._answered.append((ticket, Answer(self._answer(query, question))))

    def poll(self) -> Iterable[tuple[Hashable, Answer]]:
        """Everything that was asked since the last time."""
        answered, self._answered = self._answered, []
        return answered

    def _answer(self, query: Query, question: Question[Any]) -> Any:
        gain = self._gain(query, question)
        match question:
            case Rate(doc):
                return gain(doc)
            case Compare(a, b):
                first, second = gain(a) + self.bias, gain(b)
                return 0.5 if first == second else float(first > second)
            case Pick(docs):
                return [gain(doc) + self.bias * (place == 0) for place, doc in enumerate(docs)]
            case Order(docs):
                gains = {doc: gain(doc) for doc in docs}
                gains[docs[0]] += self.bias
                return sorted(docs, key=gains.__getitem__, reverse=True)
        raise TypeError(f"the oracle was asked {question!r}")

    def _gain(self, query: Query, question: Question[Any]) -> Callable[[Doc], float]:
        grades = self.qrels.get(query.id, {})
        if not self.noise:
            return lambda doc: grades.get(doc.id, 0)
        ids = [part.id for part in question.documents]
        chance = random.Random(f"{self.seed} {query.id} {type(question).__name__} {ids}")
        return lambda doc: grades.get(doc.id, 0) + chance.gauss(0, self.noise)


@dataclass(slots=True)
class _Asked:
    """A question that is out, as it was last worded."""

    query: Query
    question: Question[Any]
    wording: Wording
    usage: Usage


class LLMJudge:
    """Words each question with a prompt, has an engine reply, reads the answer back.

    A prompt that is too long for the model is worded again with shorter passages, all cut to
    the same number of words, until it fits (algorithms.md section 2.5).
    """

    def __init__(self, prompt: Prompt, engine: Engine) -> None:
        self.prompt, self.engine = prompt.guarding(engine.special_tokens), engine
        self._asked: dict[Hashable, _Asked] = {}

    def check(self, docs: int) -> None:
        """Raise EngineError unless questions over up to `docs` documents can be answered."""
        query = Query("check", "what is checked here")
        request = self.prompt.wording(query, sample(self.prompt.asks, max(docs, 2))).request
        if type(request.want) not in self.engine.wants:
            offers = ", ".join(want.__name__ for want in self.engine.wants)
            raise EngineError(
                f"prompt {self.prompt.name} wants {type(request.want).__name__},"
                f" but this engine serves {offers}: choose another prompt or engine"
            )
        self.engine.check(request)

    def submit(self, ticket: Hashable, query: Query, question: Question[Any]) -> None:
        """Word the question and send it off."""
        wording = self.prompt.wording(query, question)
        self._asked[ticket] = _Asked(query, question, wording, Usage())
        self.engine.submit(ticket, wording.request)

    def poll(self) -> Iterable[tuple[Hashable, Answer]]:
        """Answers to whatever the engine has finished; what was too long goes out again."""
        for ticket, reply in self.engine.poll():
            if reply.overflow and self._shorten(ticket, reply.overflow):
                continue
            yield ticket, self._answer(self._asked.pop(ticket), reply)

    def _answer(self, asked: _Asked, reply: Reply) -> Answer:
        usage, wording = asked.usage + reply.usage, asked.wording
        truncated, cut = wording.truncated + bool(reply.truncated), wording.cut + reply.truncated
        if reply.overflow or reply.error:
            error = reply.error or "the prompt does not fit the model, even without its passages"
            return Answer(None, Status.FAILED, usage, truncated, cut, error)
        value, status = self.prompt.read(reply, asked.question)
        return Answer(value, status, usage, truncated, cut)

    def _shorten(self, ticket: Hashable, overflow: int) -> bool:
        """Send the question again with passages of fewer words; false if none is left."""
        asked = self._asked[ticket]
        if (longest := asked.wording.longest) == 0:
            return False
        fewer = max(1, overflow * 3 // (4 * max(len(asked.question.documents), 1)))
        words = max(0, longest - fewer)
        asked.wording = self.prompt.wording(asked.query, asked.question, words)
        self.engine.submit(ticket, asked.wording.request)
        return True
