"""From a name or a path to a prompt that is known to work."""

from collections.abc import Sequence
from typing import Any

from rerank import files
from rerank.errors import InputError
from rerank.prompts.file import PromptFile, mistake
from rerank.prompts.prompt import Prompt
from rerank.prompts.rankllm import converted
from rerank.questions import Compare, Question, Rate
from rerank.readers import READERS
from rerank.records import Doc, Query
from rerank.wants import Likelihood, Pair, Reply, Request

QUERY = "what is checked here"


def read_prompt(name: str) -> Prompt:
    """Load a prompt by name (`listwise/first`) or by path (`./mine.toml`), and check it.

    A path that ends in `.yaml` is a template of RankLLM's. Raises InputError with the file and
    the line or key: bad TOML, an unknown key or reader, a template that does not compile or that
    names a field which its question does not have.
    """
    path = files.find("prompts", name)
    raw = converted(path) if path.suffix in files.YAML else files.read_toml(path)
    file = files.checked(PromptFile, raw, path)
    if wrong := mistake(file):
        raise InputError.at(path, None, wrong)
    prompt = Prompt(name, file, READERS[file.reads]).guarding(())
    said = " ".join(map(_said, forms(prompt, 2)))
    shown = {QUERY: "query", **{doc.text: "docs" for doc in sample(prompt.asks, 2).documents}}
    for text, field in shown.items():
        if text not in said:
            raise InputError.at(path, None, f"its wording shows no {{{{ {field} }}}}")
    return prompt


def forms(prompt: Prompt, docs: int) -> list[Request]:
    """A request of each form that questions over `docs` documents take, to check an engine with."""
    question = sample(prompt.asks, docs)
    first = prompt.wording(Query("check", QUERY), question).request
    then = prompt.goes_on(first, Reply("a thought"), len(question.documents))
    return [first, then] if then else [first]


def _said(request: Request) -> str:
    """All that a model would see or be asked to score."""
    want = request.want
    scored = (want.query, want.doc) if isinstance(want, Pair) else ()
    text = want.continuation if isinstance(want, Likelihood) else ""
    return " ".join([*(message.content for message in request.messages), *scored, text])


def question_over(asks: type[Question[Any]], docs: Sequence[Doc]) -> Question[Any]:
    """A question of this kind that shows these documents, as many as it takes."""
    if asks is Rate:
        return Rate(docs[0])
    return Compare(docs[0], docs[1]) if asks is Compare else asks(tuple(docs))  # type: ignore[call-arg]


def sample(asks: type[Question[Any]], count: int) -> Question[Any]:
    """A question of this kind over `count` short documents, to check a prompt with."""
    return question_over(asks, [Doc(str(i), f"passage {i}") for i in range(count)])
