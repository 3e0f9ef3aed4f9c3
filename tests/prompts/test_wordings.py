"""A wording counts what it cuts, and a reply is read as what the wording asked for."""

from dataclasses import replace

import pytest
from worded import DOCS, ORDER, PROMPTS, QUERY, RATE, SHOW_ALL, prompt_of, spelled

from rerank.errors import InputError, UsageError
from rerank.prompts import forms, read_prompt, sample, templates
from rerank.prompts.prompt import Shown
from rerank.prompts.seams import Field
from rerank.questions import Order, Pick, Rate
from rerank.records import Doc, Query, Status
from rerank.wants import Labels, Likelihood, Logits, Message, Pair, Reply, Text


def test_truncation_is_counted_in_passages_and_in_words(tmp_path):
    prompt = prompt_of(tmp_path, ORDER + "words = 3\n" + SHOW_ALL)
    docs = [Doc("1", "a b c d e"), Doc("2", "a b"), Doc("3", "a b c d")]
    wording = prompt.wording(QUERY, Order(tuple(docs)))
    assert [(shown.words, shown.size) for shown in wording.passages] == [(3, 5), (2, 3), (3, 5)]
    assert (wording.truncated, wording.cut) == (2, 3)
    shorter = prompt.wording(QUERY, Order(tuple(docs)), words=1)
    assert [shown.words for shown in shorter.passages] == [1, 1, 1]
    assert (shorter.truncated, shorter.cut) == (3, 8)
    assert shorter.request.messages[1].content == "A a\nB a\nC a\n"


def test_a_pair_is_not_worded_and_not_cut():
    doc = Doc("1", "word " * 1000, "On words")
    wording = read_prompt("pointwise/score").wording(QUERY, Rate(doc))
    assert wording.request.want == Pair(QUERY.text, f"On words {doc.text}".strip())
    assert (wording.passages, wording.truncated, wording.cut) == ((), 0, 0)
    assert wording.request.messages == ()


def test_a_text_prompt_leaves_room_for_the_whole_list():
    """A full list of 20 numbers takes 90 tokens on Qwen, of 100 numbers 491 (algorithms.md 2.3)."""
    prompt = read_prompt("listwise/rank-zephyr")
    for count, tokens in ((20, 90), (100, 491)):
        want = prompt.wording(QUERY, sample(Order, count)).request.want
        assert tokens <= want.max_tokens <= 2 * tokens


def test_sampling_is_what_the_recipe_says_and_a_seed_needs_a_temperature():
    prompt = read_prompt("setwise/setwise")
    asked = sample(Pick, 3)
    assert prompt.wording(QUERY, asked).request.want == Text(8)
    warm = prompt.with_sampling(temperature=0.7, seed=5, max_tokens=99)
    assert warm.wording(QUERY, asked).request.want == Text(99, (), 0.7, 5)
    cold = prompt.with_sampling(seed=5)
    assert cold.wording(QUERY, asked).request.want == Text(8)
    assert warm.guarding(["<x>"]).temperature == 0.7


def test_labels_stand_in_the_order_of_the_documents_and_carry_what_comes_before_them():
    want = read_prompt("setwise/setwise-labels").wording(QUERY, sample(Pick, 3)).request.want
    assert want == Labels((" A", " B", " C"))
    assert read_prompt("listwise/rank-zephyr").labels(3) == ("1", "2", "3")
    assert read_prompt("pointwise/yes-no").labels(1) == ("Yes", "No")


def test_an_order_is_read_back_as_the_documents_that_were_asked_about():
    prompt = read_prompt("listwise/rank-zephyr")
    docs = (Doc("1", "same"), Doc("2", "same"), Doc("3", "other"))
    reading = prompt.read(Reply("[3] > [2]"), Order(docs))
    assert reading == ([docs[2], docs[1], docs[0]], Status.REPAIRED)


def test_what_was_put_in_the_models_mouth_is_part_of_what_it_said(tmp_path):
    start = 'prefill = "<think>"\n'
    prompt = prompt_of(tmp_path, ORDER.replace("letters", "numbers") + start + SHOW_ALL)
    asked = sample(Order, 3)
    assert prompt.read(Reply("maybe [3] > [2] > [1]"), asked).status is Status.UNREADABLE
    assert prompt.read(Reply("hm</think>[3] > [2] > [1]"), asked).status is Status.OK
    bracket = replace(prompt, file=prompt.file.model_copy(update={"prefill": "["}))
    assert bracket.read(Reply("3] > [2] > [1]"), asked).status is Status.OK


def test_a_reply_that_starts_inside_a_thought_has_no_answer_before_the_thought_ends(tmp_path):
    """Some chat templates open the thought themselves: only its end stands in the reply."""
    numbers = ORDER.replace("letters", "numbers")
    thinking = prompt_of(tmp_path, numbers + "thinks = true\n" + SHOW_ALL)
    asked = sample(Order, 3)
    assert thinking.read(Reply("maybe [3] > [2] > [1]"), asked).status is Status.UNREADABLE
    assert thinking.read(Reply("hm [1]</think>[3] > [2] > [1]"), asked).status is Status.OK
    plain = prompt_of(tmp_path, numbers + SHOW_ALL)
    assert plain.read(Reply("maybe [3] > [2] > [1]"), asked).status is Status.OK
    told = plain.with_sampling(thinks=True)
    assert told.read(Reply("maybe [3] > [2] > [1]"), asked).status is Status.UNREADABLE
    assert told.read(Reply("hm [1]</think>[3] > [2] > [1]"), asked).status is Status.OK
    untold = thinking.with_sampling(thinks=False)
    assert untold.read(Reply("maybe [3] > [2] > [1]"), asked).status is Status.OK


REASON = (
    RATE + 'user = "{{ query }} {{ doc.content }}"\nprefill = "<think>"\n'
    'until = "</think>"\nmax_tokens = 9\n'
)


def test_a_thought_is_written_first_and_the_labels_are_scored_behind_it(tmp_path):
    prompt = prompt_of(tmp_path, REASON + 'before_label = " "\nstop = ["."]\n')
    asked = Rate(DOCS[2])
    first = prompt.wording(QUERY, asked).request
    assert (first.want, first.prefill) == (Text(9, ("</think>", ".")), "<think>")
    then = prompt.goes_on(first, Reply("It is bread"), 1)
    assert then.messages == first.messages
    assert then.prefill == "<think>It is bread</think>"
    assert then.want == Labels((" Yes", " No"))
    assert prompt.goes_on(then, Reply(scores=(-1.0, -2.0)), 1) is None
    assert prompt.read(Reply(scores=(-1.0, -2.0)), asked) == (1.0, Status.OK)


@pytest.mark.parametrize(
    "reply", [Reply("It is", finished=False), Reply(overflow=3), Reply(error="broken")]
)
def test_a_thought_that_did_not_end_is_followed_by_nothing_and_is_no_answer(tmp_path, reply):
    prompt = prompt_of(tmp_path, REASON)
    first = prompt.wording(QUERY, Rate(DOCS[2])).request
    assert prompt.goes_on(first, reply, 1) is None
    assert prompt.read(reply, Rate(DOCS[2])).status is Status.UNREADABLE


def test_the_forms_of_a_prompt_are_all_that_an_engine_must_serve():
    wants = [[type(r.want) for r in forms(prompt, 2)] for prompt in PROMPTS]
    assert [Text, Labels] in wants and [Logits] in wants and [Likelihood] in wants
    assert [type(forms(read_prompt("pointwise/rank1"), 2)[1].want)] == [Labels]


def test_a_turn_for_each_document_is_repeated_with_the_turn_that_follows_it():
    prompt = read_prompt("listwise/rank-gpt")
    messages = prompt.wording(Query("q", "why?"), Order(tuple(DOCS[1:]))).request.messages
    assert [message.role for message in messages] == [
        "system", *["user", "assistant"] * 3, "user"
    ]  # fmt: skip
    assert messages[3] == Message(
        "user", f"[1] {DOCS[1].text}".replace("\n", " ").replace("[2]", "(2)")
    )
    assert messages[4] == Message("assistant", "I have read passage [1].")
    assert messages[5] == Message("user", f"[2] {DOCS[2].text}")


def test_half_of_the_documents_are_to_be_selected_and_one_at_least():
    prompt = read_prompt("listwise/select")
    for count, half in ((1, 1), (2, 1), (5, 2), (20, 10)):
        said = spelled(prompt.wording(QUERY, sample(Order, count)).request)
        assert f"select the best {half}," in said


def test_an_instruction_is_the_prompts_own_until_another_is_given():
    prompt = read_prompt("pointwise/qwen3-reranker")

    def line(prompt):
        text = prompt.wording(QUERY, Rate(DOCS[2])).request.messages[0].content
        return next(line for line in text.splitlines() if line.startswith("<Instruct>"))

    assert line(prompt) == f"<Instruct>: {prompt.file.instruction}"
    assert line(prompt.instructed("Find {{ x }} [1]")) == "<Instruct>: Find {{ x }} [1]"


def test_an_instruction_that_a_prompt_may_have_is_left_out_where_there_is_none():
    prompt = read_prompt("pointwise/mxbai-rerank-v2")

    def text(prompt):
        return prompt.wording(QUERY, Rate(DOCS[2])).request.messages[0].content

    assert "instruction:" not in text(prompt)
    assert "\ninstruction: Find it.\nquery: why" in text(prompt.instructed("Find it."))


def test_a_prompt_without_an_instruction_refuses_one():
    with pytest.raises(UsageError) as wrong:
        read_prompt("listwise/rank-zephyr").instructed("Find it.")
    assert str(wrong.value) == "prompt listwise/rank-zephyr takes no instruction"


def test_a_bare_title_stands_before_the_text_without_a_word_of_ours():
    text = spelled(read_prompt("pointwise/monot5").wording(QUERY, Rate(DOCS[0])).request)
    assert f"Document: {DOCS[0].title} {DOCS[0].text} Relevant:" in text
    pair = read_prompt("pointwise/rankllama").wording(QUERY, Rate(DOCS[0])).request.want
    assert pair == Pair(f"query: {QUERY.text}", f"document: {DOCS[0].title} {DOCS[0].text}")
    untitled = read_prompt("pointwise/rankllama").wording(QUERY, Rate(DOCS[2])).request.want
    assert untitled.doc == f"document: - {DOCS[2].text}"


def test_a_question_of_another_kind_is_refused():
    with pytest.raises(UsageError) as wrong:
        read_prompt("setwise/setwise").wording(QUERY, Rate(DOCS[0]))
    assert str(wrong.value) == "prompt setwise/setwise asks Pick, and the strategy Rate"


@pytest.mark.parametrize("text", ["{{ doc.content }}", "{{ doc.label }}", "{{ query }}"])
def test_a_template_of_one_field_is_what_it_is_within_another(text):
    shown = Shown("", Field("salt"), "sea", Field("sea salt"))
    fields = {"doc": shown, "query": "{{ doc.text }}"}
    within = templates.rendered("score", "doc", text + "{# #}", fields)
    assert templates.rendered("score", "doc", text, fields) == within
    with pytest.raises(InputError):
        templates.rendered("score", "doc", "{{ doc.author }}", fields)
