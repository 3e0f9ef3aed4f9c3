"""Each shipped wording is on record, names its source and shows every document.

`UPDATE_GOLDEN=1 pytest tests/prompts/test_golden.py` writes the files in golden/ anew.
"""

import os
from pathlib import Path

from worded import QUERY, SHIPPED, by_name, question, spelled

from rerank.prompts import read_prompt
from rerank.records import Doc
from rerank.wants import Reply

GOLDEN = Path(__file__).parent / "golden"


def conversation(prompt, query, question):
    """A question and, where a thought comes before the scores, what is asked after it."""
    first = prompt.wording(query, question).request
    then = prompt.goes_on(first, Reply("It is, I think."), len(question.documents))
    return spelled(first) + (
        f"--- then, prefill\n{then.prefill}\n--- want\n{then.want}\n" if then else ""
    )


@by_name
def test_a_shipped_prompt_reads_as_its_golden_file_says(name):
    prompt = read_prompt(name)
    path = GOLDEN / f"{name}.txt"
    text = conversation(prompt, QUERY, question(prompt))
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_every_golden_file_belongs_to_a_shipped_prompt():
    written = {
        path.relative_to(GOLDEN).with_suffix("").as_posix() for path in GOLDEN.rglob("*.txt")
    }
    assert written == set(SHIPPED)


@by_name
def test_a_shipped_prompt_names_its_source_and_shows_every_document(name):
    prompt = read_prompt(name)
    assert len(prompt.file.source) > 30
    docs = [Doc(str(i), f"passage-{i}-") for i in range(20)]
    request = prompt.wording(QUERY, asked := question(prompt, docs)).request
    text = spelled(request)
    for doc in asked.documents:
        assert text.count(doc.text) == 1
    assert QUERY.text in text
