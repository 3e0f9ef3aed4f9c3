"""A question becomes a request, and a reply an answer: the one place where documents meet words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import groupby
from string import ascii_uppercase
from typing import Any, NamedTuple

from rerank.errors import UsageError
from rerank.passages import Cut, Passage, clean, first_words, formless, harmless, passage
from rerank.prompts.file import PromptFile
from rerank.prompts.frames import Frame, Hole, frame
from rerank.prompts.seams import Field, taken_apart
from rerank.prompts.templates import rendered
from rerank.questions import Compare, Order, Question, Rate, undecided
from rerank.readers import Reader, Reading
from rerank.records import Doc, Query, Status
from rerank.wants import Labels, Likelihood, Logits, Message, Pair, Reply, Request, Text, Want

THOUGHT = "<think>"
FRAMES = 256  # that a prompt keeps: one for each number of documents
SETTINGS = 4096  # likewise: one for each query and number of documents
QUERY = 0  # its place among the texts that a template writes; those of passages follow
SHOWN = 3  # texts of a passage that a template may write: text, title, content


class _Turn(NamedTuple):
    """A message's template, and the key of the file that it stands under."""

    role: str
    key: str
    content: str


class Shown(NamedTuple):
    """A document as a template sees it; `content` is text with its title, if it has one."""

    label: str
    text: str
    title: str
    content: str


class Wording(NamedTuple):
    """A rendered question, and the passages that it shows; a pair is whole and shows none."""

    request: Request
    passages: tuple[Passage, ...] = ()

    @property
    def truncated(self) -> int:
        """How many passages lost words."""
        return sum([passage.cut > 0 for passage in self.passages])

    @property
    def cut(self) -> int:
        """The words that they lost in all."""
        return sum([passage.cut for passage in self.passages])


class _Setting(NamedTuple):
    """What all questions about a query over so many documents have in common."""

    query: str
    labels: tuple[str, ...]
    instruction: str
    want: Want
    frames: Sequence[tuple[str, Frame]]
    """Each message's role and its frame around passages; none where a template looks at its fields,
    or the query brings its own instruction."""


@dataclass(frozen=True)
class Prompt:
    """A wording of one kind of question, and how its reply is read."""

    name: str
    file: PromptFile
    reader: Reader
    temperature: float = 0.0
    seed: int | None = None
    control: tuple[str, ...] = ()
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
        return replace(self, control=tuple(formless([*self.file.marks, *control])))

    def fitted(self, special_tokens: Sequence[str], cut: Cut | None) -> "Prompt":
        """The same wording for a model that has these control tokens and this tokenizer."""
        by_tokens = cut if cut and self.file.tokens else first_words
        return replace(self.guarding(special_tokens), cut=by_tokens)

    def labels(self, count: int) -> tuple[str, ...]:
        """The label of each of `count` documents, or the fixed answers that the prompt offers."""
        if isinstance(self.file.labels, list):
            return tuple(self.file.labels)
        if self.file.labels == "numbers":
            return _numbers(count)
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
        setting = self._settled(query, len(docs))
        limit = (self.file.tokens or self.file.words) if words is None else words
        bare = self.file.titles == "bare"
        passages = tuple([passage(doc, limit, self.control, bare, self.cut) for doc in docs])
        messages, seams = zip(*self._worded(setting, passages), strict=True)
        request = Request(messages, setting.want, self.file.prefill, self.file.chat, seams)
        return Wording(request, passages)

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
        said = replace(reply, text=begun + reply.text) if begun else reply
        reading = self.reader.read(said, self.labels(len(docs)))
        if reading.status is Status.UNREADABLE:
            return Reading(undecided(question), reading.status)
        if isinstance(question, Order):
            return Reading([docs[place] for place in reading.value], reading.status)
        return reading

    def _worded(
        self, setting: _Setting, passages: Sequence[Passage]
    ) -> list[tuple[Message, tuple[int, ...]]]:
        """Each message, and where it was put together."""
        texts = [setting.query]
        for shown in passages:
            texts += shown.text, shown.title, shown.content
        if setting.frames:
            filled = [(role, frame.filled(texts)) for role, frame in setting.frames]
        else:
            marked = [setting.query, *map(Field, texts[1:])]
            fields = self._fields(setting.labels, marked, setting.instruction)
            filled = [
                (turn.role, taken_apart(rendered(self.name, turn.key, turn.content, given)))
                for turn, given in self._turns(fields)
            ]
        return [(Message(role, text), seams) for role, (text, seams) in filled]

    @cached_property
    def _settled(self) -> Callable[[Query, int], _Setting]:
        return lru_cache(SETTINGS)(self._setting)

    def _setting(self, query: Query, docs: int) -> _Setting:
        asked, labels = clean(query.text, self.control), self.labels(docs)
        instruction = self._instruction(query)
        own = instruction == self.file.instruction
        whole = self._framed(labels, docs) if own else ()
        frames = [(role, frame.closed(QUERY, asked)) for role, frame in whole]
        return _Setting(asked, labels, instruction, self._want(asked, labels), frames)

    @cached_property
    def _framed(self) -> Callable[[tuple[str, ...], int], list[tuple[str, Frame]]]:
        return lru_cache(FRAMES)(self._frames)

    def _frames(self, labels: tuple[str, ...], docs: int) -> list[tuple[str, Frame]]:
        holes = list(map(Hole, range(1 + SHOWN * docs)))
        fields = self._fields(labels, holes, self.file.instruction)
        found = [(t.role, frame(t.content, shown)) for t, shown in self._turns(fields)]
        whole = [(role, framed) for role, framed in found if framed]
        return whole if len(whole) == len(found) else []

    def _turns(self, fields: Mapping[str, Any]) -> Iterator[tuple[_Turn, Mapping[str, Any]]]:
        """Each message's template, and the fields that it is given."""
        if self.file.system:
            yield _Turn("system", "system", self.file.system), fields
        key = "turns" if self.file.turns else "user"
        for each, group in groupby(self.file.conversation, key=lambda turn: turn.each):
            turns = [_Turn(turn.role, key, turn.content) for turn in group]
            for more in ({"doc": doc} for doc in fields["docs"]) if each else ({},):
                yield from ((turn, {**fields, **more}) for turn in turns)

    def _fields(
        self, labels: tuple[str, ...], texts: Sequence[Any], instruction: str
    ) -> dict[str, Any]:
        """What a template sees: the query comes first, then what is shown of each document."""
        each = [texts[at : at + SHOWN] for at in range(1, len(texts), SHOWN)]
        names = [""] if self.asks is Rate else labels
        shown = [Shown(label, *texts) for label, texts in zip(names, each, strict=True)]
        docs: dict[str, Any] = {"docs": shown}
        if self.asks is Rate:
            docs = {"doc": shown[0]}
        elif self.asks is Compare:
            docs = {"a": shown[0], "b": shown[1]}
        return {"query": texts[0], **docs, "instruction": instruction}

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
            rendered(self.name, "query", self.file.query, fields),
            rendered(self.name, "doc", self.file.doc, fields),
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
        file = self.file
        spelled = tuple(f"{file.before_label}{label}{file.after_label}" for label in labels)
        return Logits(spelled) if self.reader.wants is Logits else Labels(spelled)


@lru_cache(FRAMES)
def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, count + 1))
