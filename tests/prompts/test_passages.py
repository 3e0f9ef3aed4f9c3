"""Passages: cut to words in any script, on one line, and harmless whatever they say."""

import timeit

import pytest
from controls import CONTROL
from hypothesis import example, given
from hypothesis import strategies as st

from rerank.passages import (
    HEADING,
    IDENTIFIER,
    _first_found,
    clean,
    first_words,
    harmless,
    passage,
)
from rerank.records import Doc


def shown(text, limit, title=""):
    return passage(Doc("d", text, title), limit)


def test_a_short_document_is_shown_whole():
    assert shown("one two  three", 3) == ("one two three", "", "one two three", 3, 13, 0)


def test_a_long_document_loses_its_last_words_and_they_are_counted():
    found = shown("one two three four five", 2)
    assert (found.content, found.words, found.cut) == ("one two", 2, 3)


def test_a_title_stands_before_the_text_as_rankgpt_writes_it_and_counts():
    found = shown("grey cats sleep", 5, "On cats")
    assert found.content == "Title: On cats Content: grey"
    assert (found.words, found.cut) == (5, 2)


def test_text_and_title_can_be_shown_apart_and_both_are_cut():
    found = shown("a b c", 2, "w x y z")
    assert (found.title, found.text) == ("w x", "a b")


@pytest.mark.parametrize(
    ("text", "limit", "content"),
    [
        ("信息检索是什么", 4, "信息检索"),
        ("BM25は強い", 3, "BM25は強"),
        ("검색 엔진", 3, "검색 엔"),
        ("Über ein großes Maß", 2, "Über ein"),
        ("x" * 100, 2, "x" * 80),
        ("a,b;c d", 1, "a,b;c"),
    ],
)
def test_words_are_counted_in_any_script(text, limit, content):
    assert shown(text, limit).content == content


@given(st.text(st.sampled_from("ab. \t\n\x0b\x1c\x85\xa0\u2003信は검\u200b")), st.integers(0, 9))
@example(" a  b ", 1)
def test_the_short_way_to_the_first_words_finds_what_the_long_one_does(text, limit):
    assert first_words(text, limit) == _first_found(text, limit)


@given(st.text(st.sampled_from("ab \t\n\x1c\xa0\u2003\u3000é")))
def test_a_text_that_is_tidy_already_stands_as_its_words_do(text):
    assert clean(text) == " ".join(text.split())


def test_a_long_run_without_spaces_does_not_pass_for_one_word():
    found = shown("https://example.org/" + "a" * 10_000, 10)
    assert len(found.content) == 400
    assert found.cut == 241


def test_no_words_are_left_at_limit_zero():
    found = shown("one two", 0, "a title")
    assert found == ("", "", "", 0, 0, 6)


def test_an_empty_document_is_an_empty_passage():
    assert shown("", 300) == ("", "", "", 0, 0, 0)
    assert shown(" \n\u2028", 300) == ("", "", "", 0, 0, 0)


@given(st.text(), st.text(max_size=20), st.integers(0, 12))
@example("a" * 41, "", 1)
def test_no_word_is_lost_count_of(text, title, limit):
    whole, found = shown(text, 10**9, title), shown(text, limit, title)
    assert found.words == min(limit, whole.words)
    assert found.words + found.cut == whole.words
    assert whole.content.startswith(found.content)


def test_line_breaks_of_every_kind_become_spaces():
    assert clean("a\nb\r\nc\u2028d\u2029e\x85f\x0bg\x0ch\ti") == "a b c d e f g h i"


def test_identifiers_become_round():
    assert (
        clean("see [3], [ 12 ] and [A]; not [AB3] or a[i]")
        == "see (3), (12) and (A); not [AB3] or a[i]"
    )
    assert clean("[[3]]") == "[(3)]"


def test_identifiers_in_full_width_become_round_too():
    for name in ("[\uff21]", "[\uff11\uff12]", "\uff3b3\uff3d", "\uff3b\uff21\uff3d", "[\u2461]"):
        assert clean(f"see {name}") == f"see ({name[1:-1]})"
    assert clean("see [\u7c73], \uff3bnote\uff3d") == "see [\u7c73], \uff3bnote\uff3d"


def test_headings_that_a_prompt_uses_lose_their_form():
    assert clean('x" Passage B: "y') == 'x" Passage (B) "y'
    assert clean("Document 2 : z") == "Document (2) z"
    assert clean("Passage [B]: z") == "Passage (B): z"


def test_control_tokens_are_broken_up():
    assert clean("<|im_end|>\n<|im_start|>system") == "< |im_end|> < |im_start|>system"
    assert clean("[INST] <think> </answer>") == "[ INST] < think> < /answer>"


@pytest.mark.parametrize(
    "token",
    [
        *(
            "<|end|>",
            "<|assistant|>",
            "<\uff5cUser\uff5c>",
            "<\uff5cend of sentence\uff5c>",
            "<bos>",
        ),
        *("<eos>", "<pad>", "<unk>", "<|header_start|>", "<start_of_turn>", "<unused42>"),
    ],
)
def test_what_looks_like_a_control_token_is_broken_up_though_no_engine_names_it(token):
    assert clean(f"a {token} b", ()) == f"a < {token[1:]} b"


def test_ordinary_signs_are_no_control_tokens():
    for text in ("a < b | c > d", "|x|", "<b>bold</b>", "<||>", "[INSTALL]", "if (a<|b|)"):
        assert clean(text) == text


def test_thousands_of_control_tokens_cost_a_passage_nothing():
    """Gemma's tokenizer has 6242 unused ones."""
    plain = " ".join(f"word{n} <i>" for n in range(400))
    unused = tuple(f"<unused{n}>" for n in range(6242))
    harmless(plain, unused)
    assert min(timeit.repeat(lambda: harmless(plain, unused), number=1, repeat=20)) < 0.003


def test_tokens_of_an_engine_that_overlap_are_all_broken_up():
    assert harmless("x[a[a[ User: y", ("[a[", "User:")) == "x[ a[ a[ User : y"


def test_control_tokens_of_an_engine_are_broken_up_too():
    assert clean("a <|reserved|> b", (*CONTROL, "<|reserved|>")) == "a < |reserved|> b"
    assert clean("a [reserved] b", ("[reserved]",)) == "a [ reserved] b"


def test_a_control_token_cannot_be_hidden_in_another_or_behind_a_line_break():
    for text in ("<<s>s>", "<|im_\nstart|>", "<|im_\x00start|>", "<|im_<s>start|>", "[IN[INST]ST]"):
        assert not any(token in clean(text) for token in CONTROL), text


def test_what_no_file_or_tokenizer_can_write_is_left_out():
    """A lone surrogate comes from a broken escape in JSON, and stops a tokenizer."""
    assert clean("a\ud83db\x00c\x1bd\x7fe") == "a b c d e"
    assert harmless("a\tb\nc") == "a\tb\nc"


def test_the_same_document_under_another_limit_or_guard_is_another_passage():
    doc = Doc("d", "one <x> three")
    assert passage(doc, 2).content == "one <x>"
    assert passage(doc, 9).content == "one <x> three"
    assert passage(doc, 9, ("<x>",)).content == "one < x> three"


FRAGMENTS = [
    "<",
    "|im_start|",
    ">",
    "<|im_start|>",
    "[",
    "]",
    "3",
    "A",
    "INST",
    "/",
    "Passage ",
    ":",
]
FRAGMENTS += [
    "Document 1:",
    "\n",
    "\u2028",
    "\x00",
    "\ud800",
    " ",
    "<s>",
    "</s>",
    "{{ doc }}",
    "think",
]


@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=3))).map("".join))
def test_nothing_of_a_prompts_form_survives_in_any_text(text):
    found = clean(text)
    assert len(found.splitlines()) <= 1
    found.encode("utf-8")
    assert not IDENTIFIER.search(found)
    assert not HEADING.search(found)
    assert not any(token in found for token in CONTROL)
