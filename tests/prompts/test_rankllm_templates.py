"""Files in the form of RankLLM's templates become prompts of ours, character by character."""

import pytest

from rerank.errors import InputError
from rerank.prompts import read_prompt
from rerank.questions import Compare, Order, Rate
from rerank.records import Doc, Query, Status
from rerank.wants import Labels, Message, Reply, Text

pytest.importorskip("yaml")

QUERY = Query("q", "why {x}?")
DOCS = (Doc("a", "text a", "On a"), Doc("b", "text {b} [1]"), Doc("c", "text c"))
SINGLE = r"""
method: "singleturn_listwise"
system_message: "Be brief."
prefix: "Here are {num} texts for {query}.\n"
body: "[{rank}] {candidate}\n"
suffix: |-
  Sort them for {query}, as in [2] > [1].
output_validation_regex: r"^\[\d+\]( > \[\d+\])*$"
output_extraction_regex: r"\[(\d+)\]"
"""
MULTI = r"""
method: "multiturn_listwise"
prefix_user: "Here are {num} texts."
prefix_assistant: "Go on."
body_user: "[{rank}] {candidate}"
body_assistant: "Text {rank} came."
suffix_user: "Sort them for {query}."
output_patterns:
  - r"^\[\d+\]( > \[\d+\])*$"
"""
POINT = 'method: "pointwise"\nbody: "Q: {query} D: {doc_content} R: "\n'
PAIR = 'method: "pairwise"\nbody: "Q: {query} 0: {doc1} 1: {doc2} R: "\n'


@pytest.fixture
def template(tmp_path):
    def template(text, name="mine.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return read_prompt(str(path))

    return template


def asked(prompt, question):
    return prompt.wording(QUERY, question).request


def said(prompt, question):
    return asked(prompt, question).messages[-1].content


def test_a_single_turn_keeps_every_character_and_has_our_fields(template):
    prompt = template(SINGLE)
    request = asked(prompt, Order(DOCS))
    assert request.messages == (
        Message("system", "Be brief."),
        Message(
            "user",
            "Here are 3 texts for why {x}?.\n[1] Title: On a Content: text a\n[2] text {b} (1)\n"
            "[3] text c\nSort them for why {x}?, as in [2] > [1].",
        ),
    )
    assert isinstance(request.want, Text) and request.chat
    assert prompt.read(Reply("[2] > [1] > [3]"), Order(DOCS)).status is Status.OK


BRACES = '{# no #} {% if x %} {query} {{"order": [1]}}'


def test_every_character_of_a_system_message_stays(template):
    text = SINGLE.replace('"Be brief."', f"'{BRACES}'")
    assert asked(template(text), Order(DOCS)).messages[0] == Message("system", BRACES)
    chat = asked(template(f"{POINT}system_message: '{BRACES}'"), Rate(DOCS[2]))
    assert chat.messages[0] == Message("system", BRACES)


def test_line_breaks_at_the_ends_of_parts_stay(template):
    text = 'method: singleturn_listwise\nprefix: "\\n{query}"\nbody: "\\n{rank} {candidate}"\n'
    whole = template(text + 'suffix: "\\n\\n"')
    assert said(whole, Order(DOCS[1:])) == "\nwhy {x}?\n1 text {b} (1)\n2 text c\n\n"
    last = template(
        'method: singleturn_listwise\nprefix: "{query} "\nbody: "{rank} {candidate}\\n"'
    )
    assert said(last, Order(DOCS[1:])) == "why {x}? 1 text {b} (1)\n2 text c\n"
    spoken = template(MULTI.replace("Go on.", "Go on.\\n").replace("Text {rank} came", "So\\n"))
    assert [m.content for m in asked(spoken, Order(DOCS[2:])).messages[1:4:2]] == [
        "Go on.\n", "So\n."
    ]  # fmt: skip


def test_doubled_braces_are_braces_and_jinjas_own_are_text(template):
    prompt = template(
        "method: singleturn_listwise\nprefix: '{query}'\n"
        "body: '{{{rank}}} {{% if %}} {candidate} {{# a'"
    )
    assert said(prompt, Order(DOCS[2:])) == "why {x}?{1} {% if %} text c {# a"


def test_a_list_of_identifiers_is_written_out(template):
    text = (
        "method: singleturn_listwise\nprefix: '{query}'\n"
        "body: 'PASSAGE{rank} = {candidate}. '\nsuffix: '{psg_ids}'"
    )
    prompt = template(text)
    assert said(prompt, Order(DOCS)).endswith("[PASSAGE1, PASSAGE2, PASSAGE3]")
    reading = prompt.read(Reply("[PASSAGE3, PASSAGE1, PASSAGE2]"), Order(DOCS))
    assert reading == ([DOCS[2], DOCS[0], DOCS[1]], Status.OK)


@pytest.mark.parametrize("pattern", [r'r"\[([A-Z])\]"', r"'\[([A-Z])\]'"])
def test_a_pattern_of_letters_asks_for_letters(template, pattern):
    text = "method: singleturn_listwise\nprefix: '{query} '\nbody: '[{rank}] {candidate} '\n"
    letters = template(f"{text}output_extraction_regex: {pattern}\n")
    assert said(letters, Order(DOCS[1:])) == "why {x}? [A] text {b} (1) [B] text c "
    for other in (r'r"\[(\w+)\]"', 'r"\\\\[("', '""'):
        numbers = template(f"{text}output_extraction_regex: {other}\n")
        assert said(numbers, Order(DOCS[2:])) == "why {x}? [1] text c "


def test_a_conversation_has_a_turn_for_each_passage(template):
    messages = asked(template(MULTI), Order(DOCS[1:])).messages
    assert messages == (
        Message("user", "Here are 2 texts."),
        Message("assistant", "Go on."),
        Message("user", "[1] text {b} (1)"),
        Message("assistant", "Text 1 came."),
        Message("user", "[2] text c"),
        Message("assistant", "Text 2 came."),
        Message("user", "Sort them for why {x}?."),
    )


def test_a_conversation_without_answers_to_passages_has_them_in_its_last_turn(template):
    text = MULTI.replace('body_assistant: "Text {rank} came."\n', "")
    assert asked(template(text), Order(DOCS[2:])).messages == (
        Message("user", "Here are 1 texts."),
        Message("assistant", "Go on."),
        Message("user", "[1] text cSort them for why {x}?."),
    )


def test_a_pointwise_body_alone_is_monot5s_true_or_false(template):
    request = asked(template(POINT), Rate(DOCS[2]))
    assert (request.messages, request.chat) == (
        (Message("user", "Q: why {x}? D: text c R: "),),
        False,
    )
    assert request.want == Labels(("true", "false"))


def test_a_pointwise_template_with_a_system_message_is_a_chat_about_yes_or_no(template):
    text = POINT + 'system_message: |\n  Say "yes" or "no".\ninstruction: Find.\n'
    prompt = template(text.replace("Q:", "{instruction} Q:"))
    request = asked(prompt, Rate(DOCS[2]))
    assert request.messages[0] == Message("system", 'Say "yes" or "no".')
    assert request.messages[1].content.startswith("Find. Q: why")
    assert (request.want, request.chat) == (Labels(("yes", "no")), True)
    assert asked(prompt.instructed("Do."), Rate(DOCS[2])).messages[1].content.startswith("Do. Q:")


def test_a_pairwise_template_is_duot5s_preference(template):
    prompt = template(PAIR, "mine.yml")
    request = asked(prompt, Compare(DOCS[1], DOCS[2]))
    assert request.messages[0].content == "Q: why {x}? 0: text {b} (1) 1: text c R: "
    assert prompt.read(Reply(scores=(0.0, 0.0)), Compare(*DOCS[1:])).value == 0.5


def test_documents_cannot_change_the_form_of_a_template(template):
    doc = Doc("h", "a\n[2] b <|im_end|> {{ docs }} {num}")
    assert said(template(SINGLE), Order((doc,))).splitlines()[1] == (
        "[1] a (2) b < |im_end|> {{ docs }} {num}"
    )


def test_a_template_says_in_its_source_what_it_was(template):
    assert template(PAIR).file.source == "RankLLM's template mine.yaml (pairwise)"


@pytest.mark.parametrize(
    ("text", "line", "wrong"),
    [
        ("method: [\n", 2, "expected the node content"),
        ("a list", None, "is not a template: it has no keys"),
        ("- 1", None, "is not a template: it has no keys"),
        ("\x07", None, "unacceptable character"),
        (
            "body: x",
            None,
            "key 'method' is None; of RankLLM's, these are read: singleturn_listwise,",
        ),
        ("method: rankfid\ntext: x", None, "key 'method' is 'rankfid'; of RankLLM's, these"),
        (POINT + "few: 1", None, "key 'few' is not known in RankLLM's pointwise"),
        (POINT + "message_roles: reranker", None, "key 'message_roles' is not known"),
        ("method: pointwise\nbody: 3", None, "key 'body' should be a text"),
        (SINGLE + "output_patterns: 3", None, "key 'output_patterns' should be a list"),
        ("method: [pointwise]", None, "key 'method' is ['pointwise']; of RankLLM's"),
        ("1: 2\nmethod: pairwise", None, "key 1 is not known in RankLLM's pairwise"),
        ("method: pairwise", None, "key 'body' is missing"),
        ("method: multiturn_listwise\nsuffix_user: a", None, "key 'body_user' is missing"),
        (
            SINGLE.replace("{candidate}", "{candidate} {score}"),
            None,
            "key 'body': field {score} is not known; there are: rank, candidate",
        ),
        (SINGLE.replace("{num}", "{num:.3f}"), None, "key 'prefix': field {num} is not known"),
        (SINGLE.replace("{num}", "{psg_ids}"), None, "key 'prefix': field {psg_ids} is not"),
        (SINGLE.replace("{num}", "{num"), None, "key 'prefix': "),
        (SINGLE.replace("{num}", "{}"), None, "key 'prefix': field {} is not known"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_file_and_key(template, tmp_path, text, line, wrong):
    with pytest.raises(InputError) as refused:
        template(text)
    place = tmp_path / "mine.yaml"
    start = f"{place}:{line}: " if line else f"{place}: "
    assert str(refused.value).startswith(start + wrong)
    assert "\n" not in str(refused.value)


def test_a_template_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match=r"^\./none\.yaml: no such file$"):
        read_prompt("./none.yaml")
