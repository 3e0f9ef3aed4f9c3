"""What a matching head starts from: numbers that rank well before any step is made.

The mix is MiniLM's cosine, half as much of MaxSim and about as much of the shared words; words
weigh by how rare they are in the training's passages, and stop words count for nothing. So a
training begins at what is known to work, and can only add to it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import log
from typing import Any

from rerank.retrieve.analysis import STOP_WORDS
from rerank.retrieve.porter import stem

MIX = (10.0, 5.0, 2.2)
SATURATION = (0.9, 0.4)
ASKING = frozenset(
    (
        "what",
        "how",
        "which",
        "who",
        "when",
        "where",
        "why",
        "do",
        "does",
        "did",
        "can",
        "from",
        "has",
    )
)
"""Words of questions, which no passage has to share."""


def matching_head(tokenizer: Any, texts: Iterable[str]) -> dict[str, list[Any]]:
    """The PARTS of `engines.models.matching`, from a tokenizer's vocabulary and some passages."""
    names: list[str] = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    group = _groups(names)
    counts, total = Counter[int](), 0
    grouped = Counter[int]()
    for text in texts:
        ids = set(tokenizer([text], add_special_tokens=False)["input_ids"][0])
        counts.update(ids)
        grouped.update({group[token] for token in ids})
        total += 1
    likeness = [_rarity(counts[token], total) for token in range(len(names))]
    rarity = [
        0.0 if _silent(name) else _rarity(grouped[group[token]], total)
        for token, name in enumerate(names)
    ]
    return {
        "mix": list(MIX),
        "saturation": list(SATURATION),
        "likeness": likeness,
        "rarity": rarity,
        "group": group,
    }


def _groups(names: Sequence[str]) -> list[int]:
    """The first token of each token's group: whole words with one stem are together."""
    first: dict[str, int] = {}
    return [
        first.setdefault(stem(name) if name.isascii() and name.isalpha() else name, token)
        for token, name in enumerate(names)
    ]


def _silent(name: str) -> bool:
    """Whether a token says nothing by being there."""
    return name in STOP_WORDS or name in ASKING or not any(sign.isalnum() for sign in name)


def _rarity(count: int, total: int) -> float:
    return log(1 + (total - count + 0.5) / (count + 0.5))
