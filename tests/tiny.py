"""A tiny Qwen3 of random weights with its own tokenizer: a real checkpoint in a second."""

from functools import cache
from pathlib import Path
from string import ascii_uppercase

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BRACKETS_APART = r"[\[\]]|" + QWEN_SPLIT
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def checkpoint(
    folder: Path,
    seed: int = 0,
    *,
    brackets_merge: bool = False,
    hidden: int = 64,
    layers: int = 2,
    heads: int = 4,
    context: int = 8192,
    spread: float = 0.2,
    pieces: int = 1000,
    texts: tuple[str, ...] = (),
) -> Path:
    """Write config, weights and tokenizer to `folder`; with `brackets_merge`, "[A" is one token.

    `spread` is the standard deviation of every weight; models begin their training with 0.02.
    The vocabulary has so many `pieces`, of the prompts' words and of these `texts`.
    """
    from transformers import Qwen3ForCausalLM

    made = tokenizer(context, brackets_merge, pieces, texts)
    sizes = hidden, layers, heads
    return _saved(folder, Qwen3ForCausalLM, made, seed, sizes, context, initializer_range=spread)


def classifier(folder: Path, seed: int = 0, *, hidden: int = 64, layers: int = 2) -> Path:
    """The same as a cross-encoder, which scores a pair at its last token; vLLM serves it, too."""
    from transformers import Qwen3ForSequenceClassification

    kind, context = Qwen3ForSequenceClassification, 8192
    made = tokenizer(context)
    more = {"num_labels": 1, "initializer_range": 0.2}
    return _saved(folder, kind, made, seed, (hidden, layers, 4), context, **more)


def _saved(folder, kind, tokenizer, seed, sizes, context, **more) -> Path:
    import torch
    from transformers import Qwen3Config

    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    hidden, layers, heads = sizes
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),
        head_dim=max(32, hidden // heads),  # the smallest that vLLM serves on a CPU
        max_position_embeddings=context,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        tie_word_embeddings=False,
        **more,
    )
    kind(config).float().save_pretrained(folder)
    return folder


@cache
def tokenizer(
    context: int, brackets_merge: bool = False, pieces: int = 1000, texts: tuple[str, ...] = ()
):
    """Of the prompts' own words, with all their labels; `context` tokens fit its model."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    split = QWEN_SPLIT if brackets_merge else BRACKETS_APART
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
    trainer = trainers.BpeTrainer(
        vocab_size=pieces,
        special_tokens=[],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([*words(), *texts], trainer)
    bpe.add_special_tokens([AddedToken(token, special=True) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def words() -> list[str]:
    """Prompts' own words, and every label after a bracket, a space and a line's start."""
    root = Path(__file__).resolve().parents[1] / "prompts"
    worded = [path for path in sorted(root.rglob("*.toml")) if "boxed" not in path.name]
    texts = [path.read_text() for path in worded]
    words = [*ascii_uppercase, "Yes", "No", "yes", "no", "true", "false", *map(str, range(10))]
    words += ["None", "Low", "Medium", "High"]
    return texts + [f"{before}{word}" for word in words for before in ("", " ", "[", "\n")] * 50
