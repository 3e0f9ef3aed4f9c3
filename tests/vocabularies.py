"""Small tokenizers of the kinds that models have, trained here."""

import random

import tiny
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

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
