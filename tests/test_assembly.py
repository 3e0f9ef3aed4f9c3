"""Ids put together from parts are the ids of the whole text, whatever the tokenizer."""

import random
from itertools import pairwise

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from rerank.engines.assembly import Assembly

WORDS = (
    "the a of rank passage query blue sky's 3.14 2026 e.g. “quoted” naïve 東京 🙂 -- (see) [3] a_b"
)
TEXTS = [" ".join(random.Random(i).choices(WORDS.split(), k=30)) for i in range(300)]


def qwen():
    return _byte_level(pre_tokenizers.Split(Regex(tiny.QWEN_SPLIT), "isolated"), use_regex=False)


def gpt2():
    return _byte_level(pre_tokenizers.Sequence([]), use_regex=True)


def _byte_level(first, use_regex):
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, byte_level])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


def llama():
    """SentencePiece, which writes a space of its own before a text."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    return _sentence_pieces(tokenizer)


def mistral():
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return _sentence_pieces(tokenizer)


def _sentence_pieces(tokenizer):
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=800, special_tokens=special, show_progress=False)
    )
    return tokenizer


TOKENIZERS = {make.__name__: make() for make in (qwen, gpt2, llama, mistral)}


def encoder(name):
    return lambda text: TOKENIZERS[name].encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("name", TOKENIZERS)
@given(parts=st.lists(st.one_of(st.text(max_size=20), st.sampled_from(TEXTS)), max_size=8))
@settings(deadline=None, max_examples=200)
def test_parts_of_any_text_give_the_ids_of_the_whole(name, parts):
    encode = encoder(name)
    assert Assembly(encode).ids(parts) == encode("".join(parts))


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=st.sampled_from(TEXTS), cuts=st.lists(st.integers(0, 150), max_size=6))
@settings(deadline=None, max_examples=200)
def test_a_text_cut_anywhere_gives_the_ids_of_the_whole(name, text, cuts):
    encode = encoder(name)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    parts = [text[start:end] for start, end in pairwise(edges)]
    assert Assembly(encode).ids(parts) == encode(text)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_passage_that_comes_again_is_not_tokenised_again(name):
    encode, seen = encoder(name), []
    assembly = Assembly(lambda text: seen.append(text) or encode(text))
    passages = [f" {text}\n" for text in TEXTS[:20]]
    for window in (passages[:10], passages[5:15], passages[2:12]):
        parts = [part for i, p in enumerate(window, 1) for part in (f"[{i}]", p)]
        assert assembly.ids(parts) == encode("".join(parts))
    whole = [passage for passage in passages if sum(passage in text for text in seen) <= 1]
    assert len(whole) >= (20 if name in ("qwen", "gpt2") else 10)
