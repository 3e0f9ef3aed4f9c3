"""A question becomes a request, and a reply an answer: the one place where documents meet words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from string import ascii_uppercase
from typing import Any, NamedTuple

from rerank.errors import UsageError
from rerank.passages import CONTROL, Cut, clean, first_words, harmless, passage
from rerank.prompts.file import PromptFile
from rerank.prompts.seams import Field, taken_apart
from rerank.prompts.templates import rendered
from rerank.questions import Compare, Order, Question, Rate, undecided
from rerank.readers import Reader, Reading
from rerank.records import Doc, Query, Status
from rerank.wants import Labels, Likelihood, Logits, Message, Pair, Reply, Request, Text, Want

THOUGHT = "<think>"


class Shown(NamedTuple):
    """A document as a template sees it; `content` is text with its title, if it has one."""

    label: str
    text: str
    title: str
    content: str


class Wording(NamedTuple):
    """A rendered question: the words that each passage shows, the bytes that all of them take.

    `truncated` passages lost `cut` words in all.
    """

    request: Request
    words: tuple[int, ...] = ()
    size: int = 0
    truncated: int = 0
    cut: int = 0


@dataclass(frozen=True)
class Prompt:
    """A wording of one kind of question, and how its reply is read."""

    name: str
    file: PromptFile
    reader: Reader
    temperature: float = 0.0
    seed: int | None = None
    control: tuple[str, ...] = CONTROL
    cut: Cut = first_words

    @property
    def asks(self) -> type[Question[Any]]:
        return self.reader.asks

    def with_sampling(
        self,
        temperature: float = 0.0,
        seed: int | None = None,
        max_tokens: int | None = None,
        thinks: bool | None = None,
    ) -> "Prompt":
        """The same wording, sampled as a recipe says; what is None stays as the prompt has it."""
        given = {"max_tokens": max_tokens, "thinks": thinks}
        said = {key: value for key, value in given.items() if value is not None}
        file = self.file.model_copy(update=said)
        return replace(self, file=file, temperature=temperature, seed=seed)

    @property
    def instructs(self) -> bool:
        """Whether it has a place for an instruction."""
        return any("instruction" in text for text in self.file.templates)

    def instructed(self, instruction: str) -> "Prompt":
        """The same wording with another instruction, as plain text to its template."""
        if not self.instructs:
            raise UsageError(f"prompt {self.name} takes no instruction")
        return replace(self, file=self.file.model_copy(update={"instruction": instruction}))

    def guarding(self, control: Sequence[str]) -> "Prompt":
        """The same wording, keeping these control tokens of a model out of its fields as well."""
        kept_out = dict.fromkeys([*CONTROL, *self.file.marks, *filter(None, control)])
        return replace(self, control=tuple(kept_out))

    def fitted(self, special_tokens: Sequence[str], cut: Cut | None) -> "Prompt":
        """The same wording for a model that has these control tokens and this tokenizer."""
        by_tokens = cut if cut and self.file.tokens else first_words
        return replace(self.guarding(special_tokens), cut=by_tokens)

    def labels(self, count: int) -> tuple[str, ...]:
        """The label of each of `count` documents, or the fixed answers that the prompt offers."""
        if isinstance(self.file.labels, list):
            return tuple(self.file.labels)
        if self.file.labels == "numbers":
            return tuple(str(i) for i in range(1, count + 1))
        if count > len(ascii_uppercase):
            raise UsageError(
                f"prompt {self.name} has letters for {len(ascii_uppercase)} documents, not {count}:"
                " use a smaller window or a prompt with numbers"
            )
        return tuple(ascii_uppercase[:count])

    def wording(self, query: Query, question: Question[Any], words: int | None = None) -> Wording:
        """Render a question, each passage cut to `words` words (the prompt's own, if None).

        Words are tokens for a prompt that says so and was `fitted` to a model. A pair for a scoring
        model is not cut; the model does that itself.
        """
        if not isinstance(question, self.asks):
            given, asks = type(question).__name__, self.asks.__name__
            raise UsageError(f"prompt {self.name} asks {asks}, and the strategy {given}")
        docs = question.documents
        if self.reader.wants is Pair:
            return Wording(Request((), self._pair(query, docs[0])))
        labels = self.labels(len(docs))
        limit = (self.file.tokens or self.file.words) if words is None else words
        bare = self.file.titles == "bare"
        passages = [passage(doc, limit, self.control, bare, self.cut) for doc in docs]
        each = [""] if self.asks is Rate else labels
        shown = [
            Shown(label, Field(p.text), p.title, Field(p.content))
            for label, p in zip(each, passages, strict=True)
        ]
        asked = clean(query.text, self.control)
        fields = {"query": asked} | self._fields(question, shown)
        fields["instruction"] = self._instruction(query)
        turns = [*self._turns(fields)]
        messages, seams = zip(*turns, strict=True)
        want = self._want(asked, labels)
        request = Request(messages, want, self.file.prefill, self.file.chat, seams)
        words_shown, size = tuple(p.words for p in passages), sum(p.size for p in passages)
        cut = [p.cut for p in passages if p.cut]
        return Wording(request, words_shown, size, len(cut), sum(cut))

    def goes_on(self, request: Request, reply: Reply, docs: int) -> Request | None:
        """What to ask next of a model that has written up to `until`; None if this was all.

        A model that was cut off before it came there is asked nothing more.
        """
        first = self.file.until and isinstance(request.want, Text)
        if not first or not reply.finished or reply.error or reply.overflow:
            return None
        written = request.prefill + reply.text + self.file.until
        return replace(request, prefill=written, want=self._scores(self.labels(docs)))

    def read(self, reply: Reply, question: Question[Any]) -> Reading:
        """The answer that a reply gives to a question, in the documents it was asked about.

        What was put in the model's mouth is part of what it said.
        """
        docs = question.documents
        begun = (THOUGHT if self.file.thinks else "") + self.file.prefill
        said = replace(reply, text=begun + reply.text)
        reading = self.reader.read(said, self.labels(len(docs)))
        if reading.status is Status.UNREADABLE:
            return Reading(undecided(question), reading.status)
        if isinstance(question, Order):
            return Reading([docs[place] for place in reading.value], reading.status)
        return reading

    def _turns(self, fields: Mapping[str, Any]) -> Iterator[tuple[Message, tuple[int, ...]]]:
        """Each message, and where it was put together."""
        if self.file.system:
            yield self._turn("system", "system", self.file.system, fields)
        key = "turns" if self.file.turns else "user"
        for each, group in groupby(self.file.conversation, key=lambda turn: turn.each):
            turns = list(group)
            for more in ({"doc": doc} for doc in fields["docs"]) if each else ({},):
                for turn in turns:
                    yield self._turn(turn.role, key, turn.content, {**fields, **more})

    def _turn(
        self, role: str, key: str, content: str, fields: Mapping[str, Any]
    ) -> tuple[Message, tuple[int, ...]]:
        text, seams = taken_apart(self._rendered(key, content, fields))
        return Message(role, text), seams

    def _rendered(self, key: str, text: str, fields: Mapping[str, Any]) -> str:
        return rendered(self.name, key, text, fields)

    def _fields(self, question: Question[Any], shown: Sequence[Shown]) -> dict[str, Any]:
        if isinstance(question, Rate):
            return {"doc": shown[0]}
        if isinstance(question, Compare):
            return {"a": shown[0], "b": shown[1]}
        return {"docs": shown}

    def _instruction(self, query: Query) -> str:
        """The prompt's own words, or a caller's, which are as harmless as a query."""
        return clean(query.instruction, self.control) or self.file.instruction

    def _pair(self, query: Query, doc: Doc) -> Pair:
        """Whole and on as many lines as they have, for a model that is shown nothing else."""
        title, text, asked = (
            harmless(said, self.control) for said in (doc.title, doc.text, query.text)
        )
        shown = Shown("", text, title, f"{title} {text}".strip())
        fields = {"query": asked, "doc": shown, "instruction": self._instruction(query)}
        return Pair(
            self._rendered("query", self.file.query, fields),
            self._rendered("doc", self.file.doc, fields),
        )

    def _want(self, query: str, labels: tuple[str, ...]) -> Want:
        if self.reader.wants is Likelihood:
            return Likelihood(self.file.before_label + query)
        if self.reader.wants is not Text and not self.file.until:
            return self._scores(labels)
        seed = self.seed if self.temperature else None
        stop = (self.file.until, *self.file.stop) if self.file.until else self.file.stop
        limit = self.file.max_tokens or sum(len(f"[{label}] > ") for label in labels)
        return Text(limit, stop, self.temperature, seed)

    def _scores(self, labels: tuple[str, ...]) -> Want:
        spelled = tuple(self.file.before_label + label for label in labels)
        return Logits(spelled) if self.reader.wants is Logits else Labels(spelled)
