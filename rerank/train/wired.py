"""The wired decoder as a folder: its own tokenizer, its vocabulary, its weights.

Law: it is made of one encoder and nothing else. Which words there are, and how common each is, is
the order of the encoder's vocabulary; what a word means is the vector that the encoder gives it.
No text is read, no judgment, no query.
"""

import re
from collections.abc import Iterator
from math import log
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np

from rerank.engines.models.checkpoints import save_decoder, tokenizer
from rerank.engines.models.embedders import Embedder
from rerank.errors import UsageError, extra
from rerank.train import circuits

TOKENS = 8192
BEGIN, ASKED, ANSWER, END = "<|begin|>", "<|query|>", "<|answer|>", "<|end|>"
LABELS = tuple(f"[{letter}]" for letter in ascii_uppercase)
PIECE = 0.9
"""How rare a token is that is a part of words only."""
START = "\u0120"
"""How a byte-level vocabulary writes the space that a word begins with."""


def wire(
    folder: Path,
    encoder: str = "all-MiniLM-L6-v2",
    layers: int = circuits.LAYERS,
    inner: int = circuits.INNER,
) -> dict[str, Any]:
    """Write the wired decoder to a folder; returns what it is made of.

    More `layers`, and wider ones, are room to learn: at first they change no answer.
    """
    if layers < circuits.LAYERS:
        raise UsageError(f"layers is {layers}; the wiring takes {circuits.LAYERS}")
    if inner < 1:
        raise UsageError(f"inner is {inner}; a layer is 1 wide or more")
    folder.mkdir(parents=True, exist_ok=True)
    known = common(tokenizer(encoder).get_vocab())
    own = trained(known)
    spellings = [own.id_to_token(number) for number in range(own.get_vocab_size())]
    vectors = Embedder(encoder, device="cpu", max_length=16).encode(
        [own.decode([number]).strip() or "." for number in range(len(spellings))]
    )
    weights = circuits.decoder(
        vocabulary(spellings, known, np.asarray(vectors, float)), layers, inner
    )
    shape = config(len(spellings), own.token_to_id(END)) | {
        "num_hidden_layers": layers,
        "intermediate_size": inner,
    }
    save_decoder(folder, shape, weights, own, BEGIN, END)
    size = sum(part.size for part in weights.values())
    return {"folder": str(folder), "parameters": size, "tokens": len(spellings)}


def common(vocabulary: dict[str, int]) -> list[str]:
    """The whole words and numbers of a vocabulary, the commonest first, as WordPiece orders it."""
    ordered = sorted(vocabulary, key=lambda word: vocabulary[word])
    return [word for word in ordered if re.fullmatch("[a-z]+|[0-9]+", word)]


def trained(known: list[str]) -> Any:
    """A byte-level BPE of lower-case words, each as frequent as Zipf would have it at its place."""
    library = extra("tokenizers", "train")
    parts = library.normalizers, library.pre_tokenizers, library.decoders, library.processors
    normalizers, pre_tokenizers, decoders, processors = parts
    own = library.Tokenizer(library.models.BPE())
    own.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    own.decoder = decoders.ByteLevel()
    special = [BEGIN, ASKED, ANSWER, END]
    size = TOKENS - len(special) - len(LABELS)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, show_progress=False
    )
    own.train_from_iterator(_zipf(known), trainer)
    added = library.AddedToken
    own.add_special_tokens([added(token, special=True, normalized=False) for token in special])
    own.add_tokens([added(label, normalized=False) for label in LABELS])
    begins = [(BEGIN, own.token_to_id(BEGIN))]
    own.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=begins)
    return own


def vocabulary(
    spellings: list[str], known: list[str], vectors: circuits.Matrix
) -> circuits.Vocabulary:
    """What is known of each token: vectors of whole words in their own principal directions."""
    place = {f"{START}{word}": rank for rank, word in enumerate(known)}
    whole = np.array([spelling.startswith(START) for spelling in spellings])
    ranked = np.array([spelling in place for spelling in spellings])
    turned = turned_to_main(vectors, ranked) * whole[:, None]
    lengths = np.linalg.norm(turned, axis=1, keepdims=True)
    rarity = [log(2 + place[s]) / log(1 + len(known)) if s in place else PIECE for s in spellings]
    words = [any(map(str.isalnum, spelling.removeprefix(START))) for spelling in spellings]
    at = {spelling: number for number, spelling in enumerate(spellings)}
    return circuits.Vocabulary(
        meaning=np.divide(turned, lengths, out=turned, where=lengths > 0),
        rarity=np.array(rarity),
        words=np.array(words),
        begin=at[BEGIN],
        query=at[ASKED],
        answer=at[ANSWER],
        end=at[END],
        yes=at[f"{START}yes"],
        no=at[f"{START}no"],
        labels=tuple(at[label] for label in LABELS),
    )


def turned_to_main(vectors: circuits.Matrix, known: Any, count: int = 48) -> circuits.Matrix:
    """The first principal components, half whitened; each direction's largest number is above 0."""
    away = vectors - vectors[known].mean(0)
    _, sizes, directions = np.linalg.svd(away[known], full_matrices=False)
    rows = np.arange(count), np.abs(directions[:count]).argmax(1)
    signs = np.sign(directions[rows])
    turned = away @ (directions[:count] * signs[:, None]).T / np.sqrt(sizes[:count])
    return np.asarray(turned)


def config(tokens: int, end: int) -> dict[str, Any]:
    """The shape but for its depth, in the keys of a Qwen3 checkpoint."""
    return {
        "vocab_size": tokens,
        "hidden_size": circuits.WIDTH,
        "num_attention_heads": circuits.HEADS,
        "num_key_value_heads": circuits.HEADS,
        "head_dim": circuits.HEAD,
        "max_position_embeddings": circuits.CONTEXT,
        "rope_parameters": {"rope_type": "default", "rope_theta": circuits.THETA},
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": end,
    }


def _zipf(known: list[str]) -> Iterator[str]:
    for rank, word in enumerate(known, 1):
        yield " ".join([word] * max(1, len(known) // rank))
