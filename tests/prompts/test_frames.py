"""A frame filled in is the template rendered, and what looks at a field has no frame."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerank import files
from rerank.prompts import question_over, read_prompt
from rerank.prompts.frames import Hole, frame
from rerank.prompts.prompt import Shown
from rerank.prompts.seams import Field, taken_apart
from rerank.prompts.templates import rendered
from rerank.questions import Rate
from rerank.records import Doc, Query
from rerank.wants import Pair

NAMES = [name for name in files.names("prompts") if read_prompt(name).reader.wants is not Pair]
TEXT = st.one_of(st.text(max_size=9), st.sampled_from(["", " ", '"', "a b", "x\n", "0", "{{ a }}"]))

WRITES = [
    "Nothing.",
    "{{ query }}",
    "{{ query }}.",
    'Is it "{{ query }}"?\n\nSay so.',
    'Ask: "{{ query }}"\n\n{% for doc in docs %}[{{ doc.label }}] {{ doc.content }}\n{% endfor %}',
    "{{ docs|length }}{% for doc in docs %}{{ doc.text }}{{ ', ' if not loop.last }}{% endfor %}",
    "{% if instruction %}{{ instruction }}\n{% endif %}{{ docs[0].title }}{{ docs[1].title }}",
    "{% set it = docs[1].text %}{{ it }} and {{ it }}",
]
LOOKS = [
    "{{ query|upper }}",
    "{{ query.upper() }}",
    "{{ query ~ 'x' }}",
    "{{ query[:3] }}",
    "{{ query|length }}",
    "{{ query or '-' }}",
    "{{ 'a' if query == 'a' else 'b' }}",
    "{{ 'a' if query in ['a'] else 'b' }}",
    "{{ 'a' if query is string else 'b' }}",
    "{% if docs[0].title %}{{ docs[0].title }}{% endif %}",
    "{{ docs|map(attribute='text')|join(' ') }}",
    "{{ docs }}",
    "{{ docs|sort(attribute='text')|length }}",
    "{{ '%s' % query }}",
    "{{ nobody }}",
]


def fields(texts):
    shown = [Shown(label, *texts[at : at + 3]) for label, at in (("A", 1), ("B", 4))]
    return {"query": texts[0], "docs": shown, "instruction": "Rank."}


def framed(template):
    return frame(template, fields([Hole(number) for number in range(7)]))


@pytest.mark.parametrize("template", WRITES)
@given(texts=st.lists(TEXT, min_size=7, max_size=7))
@settings(max_examples=50, deadline=None)
def test_a_template_that_writes_its_fields_is_filled_in(template, texts):
    whole = rendered("listwise/first", "user", template, fields([Field(text) for text in texts]))
    assert framed(template).filled(texts) == taken_apart(whole)


@pytest.mark.parametrize("template", WRITES)
@given(texts=st.lists(TEXT, min_size=7, max_size=7), one=st.integers(0, 6))
@settings(max_examples=50, deadline=None)
def test_a_field_written_into_a_frame_is_no_place_to_cut_it(template, texts, one):
    marked = [text if place == one else Field(text) for place, text in enumerate(texts)]
    whole = rendered("listwise/first", "user", template, fields(marked))
    assert framed(template).closed(one, texts[one]).filled(texts) == taken_apart(whole)


@pytest.mark.parametrize("template", LOOKS)
def test_a_template_that_looks_at_a_field_has_no_frame(template):
    assert framed(template) is None


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_every_shipped_prompt_says_the_same_with_a_frame_and_without(name, data):
    with_frame, without = read_prompt(name), read_prompt(name)
    without.__dict__["_framed"] = lambda *_: []
    count = 1 if with_frame.asks is Rate else 2
    docs = [Doc(str(i), data.draw(TEXT), data.draw(TEXT)) for i in range(count)]
    asked = Query("q", data.draw(TEXT)), question_over(with_frame.asks, docs)
    one, other = with_frame.wording(*asked), without.wording(*asked)
    assert one == other and one.request.seams == other.request.seams
