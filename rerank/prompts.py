"""Find, check and render a wording. A prompt knows text and labels, no model and no ranking.

Whatever a query or a document says, it cannot change the form of a prompt: fields are plain
text to the template, identifiers and control tokens in them are rewritten, line breaks are
spaces.
"""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal, NamedTuple

import jinja2
import jinja2.sandbox
import pydantic

from rerank import files
from rerank.errors import InputError, UsageError
from rerank.passages import CONTROL, clean, harmless, passage
from rerank.questions import Compare, Order, Pick, Question, Rate
from rerank.readers import READERS, Reader, Reading
from rerank.records import Doc, Query
from rerank.wants import Labels, Likelihood, Message, Pair, Reply, Request, Text, Want

QUESTIONS: dict[str, type[Question[Any]]] = {q.__name__: q for q in (Rate, Compare, Pick, Order)}


class PromptFile(pydantic.BaseModel):
    """What a prompt's TOML file may say; any other key is an error."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    asks: Literal["Rate", "Compare", "Pick", "Order"]
    source: str
    reads: str
    labels: Literal["numbers", "letters"] | list[str] = []
    before_label: str = ""
    system: str = ""
    user: str = ""
    prefill: str = ""
    chat: bool = True
    words: int = pydantic.Field(300, ge=1)
    max_tokens: int | None = pydantic.Field(None, ge=1)
    stop: tuple[str, ...] = ()


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
    _templates: dict[str, jinja2.Template] = field(default_factory=dict, compare=False)

    @property
    def asks(self) -> type[Question[Any]]:
        return self.reader.asks

    def with_sampling(
        self, temperature: float = 0.0, seed: int | None = None, max_tokens: int | None = None
    ) -> "Prompt":
        """The same wording, sampled as a recipe says."""
        limit = max_tokens if max_tokens is not None else self.file.max_tokens
        file = self.file.model_copy(update={"max_tokens": limit})
        return replace(self, file=file, temperature=temperature, seed=seed)

    def guarding(self, control: Sequence[str]) -> "Prompt":
        """The same wording, keeping these control tokens of a model out of its fields as well."""
        return replace(self, control=tuple(dict.fromkeys([*CONTROL, *filter(None, control)])))

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

        A pair for a scoring model is not worded and not cut; the model does that itself.
        """
        if not isinstance(question, self.asks):
            given, asks = type(question).__name__, self.asks.__name__
            raise UsageError(f"prompt {self.name} asks {asks}, and the strategy {given}")
        docs = question.documents
        if self.reader.wants is Pair:
            return Wording(Request((), self._pair(query, docs[0])))
        labels = self.labels(len(docs))
        limit = self.file.words if words is None else words
        passages = [passage(doc, limit, self.control) for doc in docs]
        each = labels if not self.reader.fixed_labels and labels else [""] * len(docs)
        shown = [
            Shown(label, p.text, p.title, p.content)
            for label, p in zip(each, passages, strict=True)
        ]
        asked = clean(query.text, self.control)
        messages = self._messages(_fields(question, asked, shown))
        request = Request(messages, self._want(asked, labels), self.file.prefill, self.file.chat)
        words_shown, size = tuple(p.words for p in passages), sum(p.size for p in passages)
        cut = [p.cut for p in passages if p.cut]
        return Wording(request, words_shown, size, len(cut), sum(cut))

    def read(self, reply: Reply, question: Question[Any]) -> Reading:
        """The answer that a reply gives to a question, in the documents it was asked about.

        What was put in the model's mouth is part of what it said.
        """
        docs = question.documents
        said = replace(reply, text=self.file.prefill + reply.text)
        reading = self.reader.read(said, self.labels(len(docs)))
        if isinstance(question, Order):
            return Reading([docs[place] for place in reading.value], reading.status)
        return reading

    def _messages(self, fields: dict[str, Any]) -> tuple[Message, ...]:
        turns = [("system", self.file.system), ("user", self.file.user)]
        return tuple(
            Message(role, self._rendered(role, text, fields)) for role, text in turns if text
        )

    def _rendered(self, role: str, text: str, fields: dict[str, Any]) -> str:
        try:
            return self._template(role, text).render(fields)
        except Exception as wrong:  # a template can do anything
            raise _mistake(self.name, role, text, wrong, fields) from None

    def _template(self, role: str, text: str) -> jinja2.Template:
        if role not in self._templates:
            self._templates[role] = _JINJA.from_string(text)
        return self._templates[role]

    def _pair(self, query: Query, doc: Doc) -> Pair:
        whole = f"{doc.title} {doc.text}".strip()
        return Pair(harmless(query.text, self.control), harmless(whole, self.control))

    def _want(self, query: str, labels: tuple[str, ...]) -> Want:
        if self.reader.wants is Labels:
            return Labels(tuple(self.file.before_label + label for label in labels))
        if self.reader.wants is Likelihood:
            return Likelihood(query)
        seed = self.seed if self.temperature else None
        limit = self.file.max_tokens or sum(len(f"[{label}] > ") for label in labels)
        return Text(limit, self.file.stop, self.temperature, seed)


def read_prompt(name: str) -> Prompt:
    """Load a prompt by name (`listwise/first`) or by path (`./mine.toml`), and check it.

    Raises InputError with the file and the line or key: bad TOML, an unknown key or reader, a
    template that does not compile or that names a field which its question does not have.
    """
    prompt = _checked(name, files.find("prompts", name))
    prompt.wording(Query("q", "query"), sample(prompt.asks, 2))
    return prompt


def question_over(asks: type[Question[Any]], docs: Sequence[Doc]) -> Question[Any]:
    """A question of this kind that shows these documents, as many as it takes."""
    if asks is Rate:
        return Rate(docs[0])
    return Compare(docs[0], docs[1]) if asks is Compare else asks(tuple(docs))  # type: ignore[call-arg]


def sample(asks: type[Question[Any]], count: int) -> Question[Any]:
    """A question of this kind over `count` short documents, to check a prompt with."""
    return question_over(asks, [Doc(str(i), f"passage {i}") for i in range(count)])


def _checked(name: str, path: Path) -> Prompt:
    file = files.checked(PromptFile, files.read_toml(path), path)
    if (reader := READERS.get(file.reads)) is None:
        raise InputError.at(
            path, None, f"no reader {file.reads!r}; there are: {', '.join(READERS)}"
        )
    if reader.asks is not QUESTIONS[file.asks]:
        raise InputError.at(
            path, None, f"reader {file.reads!r} answers {reader.asks.__name__}, not {file.asks}"
        )
    if not file.user and reader.wants is not Pair:
        raise InputError.at(path, None, "key 'user' is missing or empty")
    if file.user + file.system and reader.wants is Pair:
        raise InputError.at(path, None, f"reader {file.reads!r} takes no 'user' and no 'system'")
    if not _labels_fit(file, reader):
        wanted = (
            "two labels, distinct" if file.asks in ("Rate", "Compare") else "numbers or letters"
        )
        raise InputError.at(path, None, f"key 'labels': reader {file.reads!r} needs {wanted}")
    return Prompt(name, file, reader)


def _labels_fit(file: PromptFile, reader: Reader) -> bool:
    if reader.wants not in (Labels, Text):
        return True
    if file.asks in ("Rate", "Compare"):
        labels = [label.strip() for label in file.labels if label.strip()]
        return isinstance(file.labels, list) and len(set(labels)) == len(file.labels) == 2
    return isinstance(file.labels, str)


def _fields(question: Question[Any], query: str, shown: Sequence[Shown]) -> dict[str, Any]:
    match question:
        case Rate():
            return {"query": query, "doc": shown[0]}
        case Compare():
            return {"query": query, "a": shown[0], "b": shown[1]}
    return {"query": query, "docs": shown}


def _mistake(
    name: str, key: str, text: str, wrong: Exception, fields: Mapping[str, Any]
) -> InputError:
    """What a template did wrong, and on which line of its file if Jinja says where."""
    path = files.find("prompts", name)
    before, verbatim, _ = path.read_text(encoding="utf-8").partition(text)
    trace = traceback.extract_tb(wrong.__traceback__)
    lines = [step.lineno for step in trace if step.filename == "<template>" and step.lineno]
    inside = getattr(wrong, "lineno", None) or (lines[-1] if lines else None)
    line = before.count("\n") + inside if verbatim and inside else None
    said = " ".join((getattr(wrong, "message", None) or str(wrong)).split())
    if isinstance(wrong, jinja2.UndefinedError):
        said = f"{said}; this prompt has {', '.join(fields)}"
    return InputError.at(path, line, f"key {key!r}: {said}")


_JINJA = jinja2.sandbox.SandboxedEnvironment(
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
)
