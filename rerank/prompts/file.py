"""What a prompt's file may say, and what its keys get wrong together. It renders nothing."""

from typing import Any, Literal

import pydantic

from rerank.files import Strict
from rerank.questions import Compare, Order, Pick, Question, Rate
from rerank.readers import READERS, Reader
from rerank.wants import Labels, Logits, Pair, Text

QUESTIONS: dict[str, type[Question[Any]]] = {q.__name__: q for q in (Rate, Compare, Pick, Order)}


class Turn(Strict):
    """A message of a conversation; with `each`, one for each document, which is then `doc`.

    Turns with `each` that follow one another are repeated together: document by document.
    """

    role: Literal["user", "assistant"]
    content: str
    each: Literal["doc"] | None = None


class PromptFile(Strict):
    """A wording of one kind of question; any other key is an error.

    `user`, or `turns` for a longer conversation, is what the model is told. With `until` it
    first writes up to there, in at most `max_tokens` tokens, and only then are labels scored.
    `thinks`: the model's chat template has opened a thought already. `marks` hold the parts of a
    wording together and are kept out of its fields. `query` and `doc` spell a scoring model's pair.
    A passage is cut at so many `words`, or at so many of the model's own `tokens`.
    """

    asks: Literal["Rate", "Compare", "Pick", "Order"]
    source: str
    reads: str
    labels: Literal["numbers", "letters"] | list[str] = pydantic.Field(default_factory=list)
    before_label: str = ""
    after_label: str = ""
    instruction: str = ""
    system: str = ""
    user: str = ""
    turns: tuple[Turn, ...] = pydantic.Field((), strict=False)
    prefill: str = ""
    chat: bool = True
    thinks: bool = False
    until: str = ""
    marks: tuple[str, ...] = pydantic.Field((), strict=False)
    query: str = "{{ query }}"
    doc: str = "{{ doc.content }}"
    titles: Literal["named", "bare"] = "named"
    words: int = pydantic.Field(300, ge=1)
    tokens: int | None = pydantic.Field(None, ge=1)
    max_tokens: int | None = pydantic.Field(None, ge=1)
    stop: tuple[str, ...] = pydantic.Field((), strict=False)

    @property
    def conversation(self) -> tuple[Turn, ...]:
        return self.turns or (Turn(role="user", content=self.user),)

    @property
    def templates(self) -> tuple[str, ...]:
        """Every text in it that is rendered."""
        turns = (turn.content for turn in self.conversation)
        return (self.system, *turns, self.query, self.doc)


def mistake(file: PromptFile) -> str:
    """What keys that are right by themselves get wrong together; empty if nothing."""
    if (reader := READERS.get(file.reads)) is None:
        return f"no reader {file.reads!r}; there are: {', '.join(READERS)}"
    if reader.asks is not QUESTIONS[file.asks]:
        return f"reader {file.reads!r} answers {reader.asks.__name__}, not {file.asks}"
    told = file.user or file.turns
    if reader.wants is Pair:
        taken = told or file.system
        return f"reader {file.reads!r} takes no 'user' and no 'system'" if taken else ""
    if not told:
        return "key 'user' is missing or empty"
    if file.user and file.turns:
        return "give 'user' or 'turns', not both"
    if file.turns and (file.turns[-1].role != "user" or file.turns[-1].each):
        return "key 'turns': the last one is what a user says, once"
    if not file.chat and (file.turns or file.system):
        return "key 'chat': without the model's template a prompt is 'user' alone"
    if file.until and (reader.wants is not Labels or not file.max_tokens):
        return "key 'until': it comes before labels are scored, and needs 'max_tokens'"
    return "" if _labels_fit(file, reader) else f"key 'labels': {_wanted(file, reader)}"


def _labels_fit(file: PromptFile, reader: Reader) -> bool:
    if reader.wants not in (Labels, Logits, Text):
        return True
    if reader.fixed is None:
        return isinstance(file.labels, str)
    labels = [label.strip() for label in file.labels if label.strip()]
    whole = len(set(labels)) == len(file.labels)
    return isinstance(file.labels, list) and whole and len(labels) in reader.fixed


def _wanted(file: PromptFile, reader: Reader) -> str:
    if reader.fixed is None:
        needs = "numbers or letters"
    elif len(reader.fixed) == 1:
        needs = ("no label", "one label", "two labels, distinct")[reader.fixed[0]]
    else:
        needs = f"{reader.fixed[0]} to {reader.fixed[-1]} labels, distinct, the best last"
    return f"reader {file.reads!r} needs {needs}"
