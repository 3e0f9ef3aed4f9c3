"""The shipped prompts, one query with its documents, and prompts of a test's own."""

import pytest

from rerank import files
from rerank.prompts import question_over, read_prompt
from rerank.questions import Compare, Rate
from rerank.records import Doc, Query

SHIPPED = files.names("prompts")
PROMPTS = [read_prompt(name) for name in SHIPPED]
by_name = pytest.mark.parametrize("name", SHIPPED)
QUERY = Query("q1", "why is the sky blue?")
DOCS = [
    Doc("d1", "Air scatters short waves of light more than long ones.", "Rayleigh scattering"),
    Doc("d2", "The sea mirrors the sky,\nso it looks blue as well. See [2]."),
    Doc("d3", "Bread needs flour, water, salt and time."),
]


def question(prompt, docs=DOCS):
    count = {Rate: 1, Compare: 2}.get(prompt.asks, len(docs))
    return question_over(prompt.asks, docs[:count])


def spelled(request):
    """A request as a golden file shows it."""
    parts = [f"--- {message.role}\n{message.content}\n" for message in request.messages]
    return "".join([*parts, f"--- prefill\n{request.prefill}\n--- want\n{request.want}\n"])


def prompt_of(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_prompt(str(path))


ORDER = 'asks = "Order"\nsource = "s"\nreads = "permutation"\nlabels = "letters"\n'
RATE = 'asks = "Rate"\nsource = "s"\nreads = "label-odds"\nlabels = ["Yes", "No"]\n'
SHOW_ALL = (
    "system = '{{ query }}'\n"
    "user = '''\n{% for doc in docs %}\n{{ doc.label }} {{ doc.content }}\n{% endfor %}\n'''\n"
)
