import random
from types import SimpleNamespace

import pytest
import tiny
from vocabularies import TEXTS, TOKENIZERS

from rerank.engines import LabelError
from rerank.engines.tokenisation.tokens import Tokens
from rerank.errors import EngineError
from rerank.wants import Labels, Message, Request, Text

pytestmark = pytest.mark.slow  # transformers takes seconds to import

LETTERS = tuple("ABCDEFGHIJKLMNOPQRST")


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    return _tokenizer(tmp_path_factory, brackets_merge=False)


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    return _tokenizer(tmp_path_factory, brackets_merge=True)


@pytest.fixture(scope="module")
def words():
    """One token for each word, whatever its case, and "<s>" before raw text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    known = ["<s>", "<unk>", "relevant", ":", "yes", "no"]
    model = models.WordLevel({word: i for i, word in enumerate(known)}, unk_token="<unk>")
    spelling = Tokenizer(model)
    spelling.normalizer = normalizers.Lowercase()
    spelling.pre_tokenizer = pre_tokenizers.Whitespace()
    spelling.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=spelling,
        bos_token="<s>",
        unk_token="<unk>",
        chat_template="<s>{% for m in messages %}{{ m.content }}{% endfor %}{{ ending }}",
    )


def _tokenizer(folders, brackets_merge):
    from transformers import AutoTokenizer

    folder = folders.mktemp("tiny")
    return AutoTokenizer.from_pretrained(
        tiny.checkpoint(folder, brackets_merge=brackets_merge, layers=1)
    )


def _chat(want, prefill="", content="Which passage?"):
    return Request((Message("user", content),), want, prefill)


def _raw(want, content, prefill=""):
    return Request((Message("user", content),), want, prefill, chat=False)


def test_special_tokens_are_all_control_tokens_each_once(apart):
    special = Tokens(apart).special
    assert sorted(special) == sorted(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
    )


def test_an_added_token_in_angle_brackets_is_special_even_where_it_is_not_marked():
    added = {
        7: SimpleNamespace(content="<tool_call>", special=False),
        8: SimpleNamespace(content="hello", special=False),
        9: SimpleNamespace(content="[MASK]", special=True),
    }
    tokenizer = SimpleNamespace(all_special_tokens=["</s>"], added_tokens_decoder=added)
    assert Tokens(tokenizer).special == ("</s>", "<tool_call>", "[MASK]")


def test_a_conversation_is_worded_by_the_template_and_ends_with_the_prefill(apart):
    request = Request((Message("system", "Rank."), Message("user", "Q")), Text(5), "Best: ")
    assert Tokens(apart).text(request) == (
        "<|im_start|>system\nRank.<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n"
        "<|im_start|>assistant\nBest: "
    )


def test_control_tokens_of_the_template_become_one_id_each(apart):
    ids = Tokens(apart).ids(_chat(Text(5)))
    assert ids[0] == apart.convert_tokens_to_ids("<|im_start|>")
    assert apart.decode(ids) == Tokens(apart).text(_chat(Text(5)))


def test_template_options_reach_the_template(words):
    tokens = Tokens(words, {"ending": " relevant:"})
    assert tokens.text(_chat(Text(5), content="no")) == "<s>no relevant:"


def test_a_raw_prompt_stands_as_it_is(apart):
    content = "Query: a\nDocument: {b}\nRelevant:"
    assert Tokens(apart).text(_raw(Text(5), content, " yes")) == content + " yes"


def test_a_raw_prompt_gets_the_first_token_and_a_conversation_does_not_get_it_twice(words):
    tokens = Tokens(words)
    assert tokens.ids(_raw(Text(5), "relevant:")) == [0, 2, 3]
    assert tokens.ids(_chat(Text(5), content=" relevant:")) == [0, 2, 3]


def test_labels_are_the_tokens_that_follow_the_prompt_in_order(apart):
    tokens = Tokens(apart)
    request = _chat(Labels(LETTERS))
    ids = tokens.label_ids(request)
    assert [apart.decode([label]) for label in ids] == list(LETTERS)
    for letter, label in zip(LETTERS, ids, strict=True):
        assert tokens.ids(_chat(Labels(LETTERS), letter)) == [*tokens.ids(request), label]


def test_after_an_open_bracket_labels_are_single_where_the_tokenizer_keeps_it_apart(apart):
    ids = Tokens(apart).label_ids(_chat(Labels(LETTERS), "["))
    assert [apart.decode([label]) for label in ids] == list(LETTERS)


def test_after_an_open_bracket_labels_are_refused_where_it_merges_with_them(merged):
    with pytest.raises(
        LabelError, match=r"label 'A' is not one token of its own.*; `rerank doctor"
    ):
        Tokens(merged).label_ids(_chat(Labels(LETTERS), "["))


def test_labels_verified_for_one_ending_are_verified_again_for_another(merged):
    tokens = Tokens(merged)
    assert len(tokens.label_ids(_chat(Labels(LETTERS)))) == len(LETTERS)
    with pytest.raises(LabelError):
        tokens.label_ids(_chat(Labels(LETTERS), "["))
    assert len(tokens.label_ids(_chat(Labels(LETTERS)))) == len(LETTERS)


def test_a_label_of_several_tokens_is_refused_by_name(apart):
    with pytest.raises(LabelError, match="'A and B'"):
        Tokens(apart).label_ids(_chat(Labels(("A", "A and B"))))


def test_an_empty_label_is_refused(apart):
    with pytest.raises(LabelError, match="''"):
        Tokens(apart).label_ids(_chat(Labels(("A", ""))))


def test_a_label_after_a_colon_keeps_its_space(apart):
    tokens = Tokens(apart)
    spaced = tokens.label_ids(_raw(Labels((" yes", " no")), "Relevant:"))
    bare = tokens.label_ids(_raw(Labels(("yes", "no")), "Relevant:\n"))
    assert len({*spaced, *bare}) == 4


def test_two_labels_of_one_token_are_refused_by_name(words):
    with pytest.raises(LabelError, match="'yes' and 'Yes' are the same token; `rerank doctor"):
        Tokens(words).label_ids(_raw(Labels(("yes", "no", "Yes")), "relevant:"))


def test_a_text_is_cut_after_a_token_and_what_it_lost_is_counted(apart):
    tokens = Tokens(apart)
    text = "Which passage is best? Über alles: 信息检索"
    ids = apart.encode(text, add_special_tokens=False)
    assert tokens.cut(text, len(ids)) == (text, len(ids), 0)
    assert tokens.cut(text, 0) == ("", 0, len(ids))
    for limit in range(1, len(ids)):
        start, shown, lost = tokens.cut(text, limit)
        assert text.startswith(start)
        assert (shown, lost) == (limit, len(ids) - limit)
    start, _, _ = tokens.cut("Which passage is best?", 3)
    assert apart.encode(start, add_special_tokens=False) == ids[:3]


def test_a_tokenizer_that_does_not_know_where_its_tokens_end_cuts_nothing():
    with pytest.raises(EngineError, match="does not say where its tokens end: cut at words"):
        Tokens(SimpleNamespace(is_fast=False, encode=lambda *_, **__: [])).cut("text", 1)


def test_what_is_new_in_many_requests_is_tokenised_in_one_call_before_it_is_asked_for(apart):
    def asked(number):
        passage = f"Passage {number} says {'no ' * number}more."
        messages = (Message("user", f"{passage}\n\nIs it so?"),)
        return Request(messages, Text(1), seams=((len(passage),),))

    calls = []
    tokens = Tokens(apart)
    spell = tokens._assembly._spell
    tokens._assembly._spell = lambda texts: calls.append(len(texts)) or spell(texts)
    tokens.ids(asked(0))
    calls.clear()
    tokens.learn(map(asked, range(1, 9)))
    assert len(calls) == 1 and calls[0] >= 8
    for number in range(1, 9):
        assert tokens.ids(asked(number)) == Tokens(apart).ids(asked(number))
    assert len(calls) == 1


def test_after_a_control_token_labels_are_verified_once_for_all_prompts(apart):
    tokens = Tokens(apart)
    prompts = (f"{text} {tokens.special[0]}" for text in ("a question", "another"))
    one, other = (_raw(Labels(LETTERS), prompt) for prompt in prompts)
    assert tokens.label_ids(one) == tokens.label_ids(other)
    assert len(tokens._labels) == 1
    assert tokens.label_ids(one) == Tokens(apart)._verified(one, LETTERS)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_what_is_written_is_decoded_at_its_end_as_it_is_token_by_token(name):
    """Token by token is vLLM's way: a stream that begins with the prompt."""
    from tokenizers.decoders import DecodeStream
    from transformers import PreTrainedTokenizerFast

    backend, chance = TOKENIZERS[name], random.Random(name)
    tokens = Tokens(PreTrainedTokenizerFast(tokenizer_object=backend))
    assert tokens.decodes
    for text in TEXTS:
        ids = backend.encode(text, add_special_tokens=False).ids
        place = chance.randrange(len(ids))
        prompt, said = ids[:place], ids[place:]
        stream = DecodeStream(ids=prompt, skip_special_tokens=True)
        streamed = "".join(stream.step(backend, token) or "" for token in said)
        assert tokens.written(prompt[-8:], said) == streamed
