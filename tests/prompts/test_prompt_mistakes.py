"""Each mistake in a prompt is one line with the file and the place."""

import pytest
from worded import ORDER, QUERY, RATE, SHIPPED, prompt_of

from rerank.errors import InputError, UsageError
from rerank.prompts import read_prompt, sample
from rerank.questions import Order
from rerank.readers import READERS
from rerank.records import Doc

ALL = ", ".join(SHIPPED)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("asks = \nreads", "Invalid value (at line 1, column 8)"),
        (
            ORDER + "user 'a'",
            "Expected '=' after a key in a key/value pair (at line 5, column 6)",
        ),
        (
            ORDER + "user = 'a'\nworsd = 3\n",
            "key 'worsd': is not a known key; did you mean 'words'?",
        ),
        (
            ORDER + "user = 'a'\nwords = 0\n",
            "key 'words': it should be 1 or more",
        ),
        ("source = 's'\nreads = 'r'", "key 'asks': is missing"),
        (
            ORDER.replace("Order", "Sort") + "user = 'a'",
            "key 'asks': it should be 'Rate', 'Compare', 'Pick' or 'Order'",
        ),
        (
            ORDER.replace("permutation", "entrails") + "user = 'a'",
            f"no reader 'entrails'; there are: {', '.join(READERS)}",
        ),
        (
            ORDER.replace("permutation", "label-weights") + "user = 'a'",
            "reader 'label-weights' answers Pick, not Order",
        ),
        (ORDER, "key 'user' is missing or empty"),
        (ORDER + "user = ''", "key 'user' is missing or empty"),
        (ORDER + "user = 'a'\nwords = '50'\n", "key 'words': it should be a whole number"),
        (ORDER + "user = 'a'\nchat = 'off'\n", "key 'chat': it should be true or false"),
        (
            ORDER.replace('"letters"', '["A", "B"]') + "user = 'a'",
            "key 'labels': reader 'permutation' needs numbers or letters",
        ),
        (
            RATE.replace('["Yes", "No"]', '["Yes"]') + "user = 'a'",
            "key 'labels': reader 'label-odds' needs two labels, distinct",
        ),
        (
            RATE.replace('["Yes", "No"]', '["Yes", "Yes "]') + "user = 'a'",
            "key 'labels': reader 'label-odds' needs two labels, distinct",
        ),
        (
            RATE.replace('["Yes", "No"]', '["Yes", " "]') + "user = 'a'",
            "key 'labels': reader 'label-odds' needs two labels, distinct",
        ),
        (
            RATE.replace('["Yes", "No"]', '"numbers"') + "user = 'a'",
            "key 'labels': reader 'label-odds' needs two labels, distinct",
        ),
        (
            "asks = 'Rate'\nsource = 's'\nreads = 'score'\nuser = 'a'",
            "reader 'score' takes no 'user' and no 'system'",
        ),
        (
            RATE.replace("label-odds", "label-peak").replace('["Yes", "No"]', '["1"]')
            + "user = 'a'",
            "key 'labels': reader 'label-peak' needs 2 to 11 labels, distinct, the best last",
        ),
        (
            RATE.replace("label-odds", "label-logit") + "user = 'a'",
            "key 'labels': reader 'label-logit' needs one label",
        ),
        (
            ORDER + "user = 'a'\n[[turns]]\nrole = 'user'\ncontent = 'b'",
            "give 'user' or 'turns', not both",
        ),
        (
            ORDER + "[[turns]]\nrole = 'assistant'\ncontent = 'b'",
            "key 'turns': the last one is what a user says, once",
        ),
        (
            ORDER + "[[turns]]\nrole = 'user'\ncontent = 'b'\neach = 'doc'",
            "key 'turns': the last one is what a user says, once",
        ),
        (
            ORDER + "[[turns]]\nrole = 'system'\ncontent = 'b'",
            "key 'turns.0.role': it should be 'user' or 'assistant'",
        ),
        (
            ORDER + "user = 'a'\nsystem = 'b'\nchat = false",
            "key 'chat': without the model's template a prompt is 'user' alone",
        ),
        (
            RATE + "user = 'a'\nuntil = '.'",
            "key 'until': it comes before labels are scored, and needs 'max_tokens'",
        ),
        (
            ORDER + "user = 'a'\nuntil = '.'\nmax_tokens = 3",
            "key 'until': it comes before labels are scored, and needs 'max_tokens'",
        ),
    ],
)
def test_a_mistake_in_a_file_is_one_line_with_the_file_and_the_place(tmp_path, text, said):
    with pytest.raises(InputError) as wrong:
        prompt_of(tmp_path, text)
    assert str(wrong.value) == f"{tmp_path / 'mine.toml'}: {said}"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (
            "user = '''\nA\n{{ dcos }}\n'''",
            7,
            "key 'user': 'dcos' is undefined; this prompt has query, docs",
        ),
        (
            "system = '{{ doc }}'\nuser = 'a'",
            5,
            "key 'system': 'doc' is undefined; this prompt has query, docs",
        ),
        (
            "user = '''\n{% for doc in docs %}\n{{ doc.titel }}\n{% endfor %}'''",
            7,
            "key 'user': a document has no attribute 'titel'",
        ),
        ("user = '''\n\n{{ query }\n'''", 7, "key 'user': unexpected '}'"),
        ("user = '{% for doc in docs %}'", 5, "key 'user': Unexpected end of template."),
        ("user = '{{ query|shout }}'", 5, "key 'user': No filter named 'shout'."),
        ("user = '''\n\n\n{{ query + 1 }}'''", 8, "key 'user': can only concatenate str"),
        ("user = '{{ docs[7].label }}'", 5, "key 'user': "),
        (
            "user = '{{ query.__class__.__mro__ }}'",
            5,
            "key 'user': access to attribute '__class__'",
        ),
        ("user = '{% include \"other\" %}'", 5, "key 'user': no loader for this environment"),
        (
            "[[turns]]\nrole = 'user'\ncontent = '{{ dcos }}'",
            7,
            "key 'turns': 'dcos' is undefined; this prompt has query, docs",
        ),
    ],
)
def test_a_mistake_in_a_template_is_named_by_key_and_line(tmp_path, text, line, said):
    with pytest.raises(InputError) as wrong:
        prompt_of(tmp_path, ORDER + text)
    message = str(wrong.value)
    assert message.startswith(f"{tmp_path / 'mine.toml'}:{line}: {said}")
    assert "\n" not in message


def test_a_template_that_is_spelled_with_escapes_is_named_by_key_alone(tmp_path):
    with pytest.raises(InputError) as wrong:
        prompt_of(tmp_path, ORDER + 'user = "a\\n{{ dcos }}"')
    assert str(wrong.value).startswith(f"{tmp_path / 'mine.toml'}: key 'user': 'dcos' is undefined")


def test_a_template_that_fails_on_a_document_only_is_one_line_too(tmp_path):
    prompt = prompt_of(tmp_path, ORDER + "user = '{{ query }} {{ docs[0].content[8] }} {{ docs }}'")
    with pytest.raises(InputError, match=r"mine\.toml:5: key 'user': .*no element 8"):
        prompt.wording(QUERY, Order((Doc("1", "a"), Doc("2", "b"))))


@pytest.mark.parametrize(
    ("user", "lacks"), [("{{ docs }}", "query"), ("{{ query }}", "docs"), ("say A", "query")]
)
def test_a_wording_that_does_not_show_what_it_asks_about_is_refused(tmp_path, user, lacks):
    with pytest.raises(InputError) as wrong:
        prompt_of(tmp_path, ORDER + f"user = '{user}'")
    assert str(wrong.value).endswith(f"mine.toml: its wording shows no {{{{ {lacks} }}}}")


def test_a_file_that_is_not_text_is_refused_by_name(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"asks = '\xff'")
    with pytest.raises(InputError, match=r"mine\.toml:1: not UTF-8: byte 0xff"):
        read_prompt(str(tmp_path / "mine.toml"))


def test_a_path_that_does_not_exist_is_refused():
    with pytest.raises(InputError) as wrong:
        read_prompt("./mine.toml")
    assert str(wrong.value) == "./mine.toml: no such file"


def test_an_unknown_name_is_refused_with_the_names_that_there_are():
    with pytest.raises(InputError) as wrong:
        read_prompt("pairwise/prpp")
    assert str(wrong.value) == f"no prompt called 'pairwise/prpp'; there are: {ALL}"


def test_more_documents_than_letters_are_refused_before_anything_is_sent():
    prompt = read_prompt("listwise/first")
    assert len(prompt.labels(26)) == 26
    with pytest.raises(UsageError) as wrong:
        prompt.wording(QUERY, sample(Order, 27))
    assert str(wrong.value) == (
        "prompt listwise/first has letters for 26 documents, not 27:"
        " use a smaller window or a prompt with numbers"
    )
