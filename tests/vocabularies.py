"""Small tokenizers of the kinds that models have, trained here."""

import random

import tiny
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from tokenizers.pre_tokenizers import Metaspace

WORDS = (
    "the a of rank passage query blue sky's 3.14 2026 e.g. “quoted” naïve 東京 🙂 -- (see) [3] a_b"
)
GAPS = (" ", " ", " ", " ", "  ", "\n", "\n\n", " \n")
ADDED = ["<|im_start|>", "<|im_end|>", "<|im_end|>\n"]
TEXTS = [
    "".join(chance.choice(WORDS.split()) + chance.choice(GAPS) for _ in range(30)).strip()
    for chance in map(random.Random, range(300))
]


def qwen():
    split = pre_tokenizers.Split(Regex(tiny.QWEN_SPLIT), "isolated")
    tokenizer = _byte_level(split, use_regex=False)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens(ADDED)
    return tokenizer


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
    return mistral_of(Metaspace(prepend_scheme="first", split=False))


def mistral_of(metaspace, texts=TEXTS):
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = metaspace
    return _sentence_pieces(tokenizer, texts)


def zephyr():
    """SentencePiece as models have it: trained on words, so that no piece spans two of them."""
    words = [" ".join(text.split()) for text in TEXTS]
    tokenizer = mistral_of(Metaspace(prepend_scheme="first", split=True), words)
    tokenizer.pre_tokenizer = Metaspace(prepend_scheme="first", split=False)
    return tokenizer


def gemma():
    """The same without a space before a text; a run of line ends is one piece."""
    tokenizer = mistral_of(Metaspace(prepend_scheme="never", split=True))
    tokenizer.pre_tokenizer = None
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    return tokenizer


def _sentence_pieces(tokenizer, texts=TEXTS):
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=800, special_tokens=special, show_progress=False)
    )
    return tokenizer


TOKENIZERS = {make.__name__: make() for make in (qwen, gpt2, llama, mistral, zephyr, gemma)}
