"""Models by configuration, with weights of chance and a tokenizer of this project's tests.

How fast a model reads and writes does not depend on what its weights are.
"""

import json
import random
from pathlib import Path
from typing import Any

import tiny

from rerank.records import Doc, Query

TOKENS = 130  # of a passage

_QWEN3 = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "vocab_size": 151936,
    "head_dim": 128,
    "num_key_value_heads": 8,
    "max_position_embeddings": 40960,
    "rope_theta": 1_000_000,
    "rms_norm_eps": 1e-6,
}
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": _QWEN3  # to try all of this where there is no GPU
    | {
        "vocab_size": 2048,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "head_dim": 32,
        "tie_word_embeddings": True,
    },
    "Qwen3-0.6B": _QWEN3
    | {
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "tie_word_embeddings": True,
    },
    "Qwen3-8B": _QWEN3
    | {
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "tie_word_embeddings": False,
    },
    "Mistral-7B": {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "vocab_size": 32768,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 32768,
        "rope_theta": 1_000_000,
        "rms_norm_eps": 1e-5,
        "sliding_window": None,
        "tie_word_embeddings": False,
    },
}


def written(folder: Path, config: dict[str, Any]) -> Path:
    """A checkpoint's folder without its weights: vLLM makes them up (`load_format="dummy"`)."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny.tokenizer(config["max_position_embeddings"])
    tokenizer.save_pretrained(folder)
    _widen(folder / "tokenizer.json", config["vocab_size"])
    more = {
        "torch_dtype": "bfloat16",
        "hidden_act": "silu",
        "bos_token_id": None,
        "eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"),
        "pad_token_id": tokenizer.convert_tokens_to_ids("<|endoftext|>"),
    }
    (folder / "config.json").write_text(json.dumps(config | more))
    return folder


def _widen(path: Path, size: int) -> None:
    """Give a tokenizer so many tokens, of which texts never make the later ones.

    A model of random weights writes any token that it has, and each must have a spelling.
    """
    stated = json.loads(path.read_text())
    known = len(stated["model"]["vocab"]) + len(stated["added_tokens"])
    stated["model"]["vocab"] |= {f"<unused{number}>": number for number in range(known, size)}
    path.write_text(json.dumps(stated))


def lists(queries: int, depth: int, seed: int = 0) -> dict[Query, list[Doc]]:
    """So many queries, each with passages of its own of TOKENS tokens each."""
    tokenizer, draw = tiny.tokenizer(8192), random.Random(seed)
    words = sorted({word for text in tiny.words() for word in text.split() if word.isalpha()})
    whole = [word for word in words if len(tokenizer.encode(f" {word}")) == 1]

    def text(tokens: int) -> str:
        return " ".join(draw.choices(whole, k=tokens))

    return {
        Query(f"{seed}.{query}", text(10)): [
            Doc(f"{query}.{doc}", text(TOKENS)) for doc in range(depth)
        ]
        for query in range(queries)
    }
