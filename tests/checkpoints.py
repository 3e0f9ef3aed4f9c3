"""Tiny encoders and encoder-decoders of random weights, and what a scorer says of pairs."""

from rerank.wants import Pair, Request

WORDS = [
    "the",
    "sea",
    "is",
    "blue",
    "waves",
    "and",
    "salt",
    "a",
    "dry",
    "hill",
    "cats",
    "sleep",
    "dogs",
    "bark",
    "which",
    "one",
    "about",
]
DOCS = [
    "the sea is blue",
    "waves and salt and the sea",
    "a dry hill",
    "cats sleep and dogs bark " * 3,
    "the sea is blue",
]
QUERY = "which one is about the sea"


def pair(query, doc):
    return Request((), Pair(query, doc))


def replies(scorer, pairs):
    for ticket, (query, doc) in enumerate(pairs):
        scorer.check(pair(query, doc))
        scorer.submit(ticket, pair(query, doc))
    found = {}
    while out := list(scorer.poll()):
        found |= dict(out)
    assert sorted(found) == list(range(len(pairs)))
    return [found[ticket] for ticket in range(len(pairs))]


def scores(scorer, pairs):
    return [score for reply in replies(scorer, pairs) for score in reply.scores]


def wordpiece(folder, limit=40):
    """A tokenizer that spells a pair as BERT's does, with a vocabulary of a few words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s"]
    spelled = Tokenizer(
        models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    spelled.normalizer = normalizers.BertNormalizer()
    spelled.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    spelled.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = BertTokenizerFast(tokenizer_object=spelled, model_max_length=limit)
    tokenizer.save_pretrained(folder)
    return tokenizer


def bert(folder, kind, **options):
    """A tiny BERT of random weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS) + 6, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=48, initializer_range=0.5, **options,
    )  # fmt: skip
    model = getattr(transformers, kind)(config).eval()
    model.save_pretrained(folder)
    return model


def encoder_decoder(folder):
    """A tiny encoder-decoder whose tokenizer ends what it reads with "</s>", as T5's does."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    words = [
        "Query:",
        "Document:",
        "Relevant:",
        "cats",
        "sleep",
        "dogs",
        "bark",
        "true",
        "false",
        "the",
        "sea",
        "is",
        "A",
        "B",
    ]
    vocabulary = ["<pad>", "</s>", "<unk>", *(f"▁{word}" for word in words)]
    spelled = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>")
    )
    spelled.pre_tokenizer = pre_tokenizers.Metaspace()
    spelled.decoder = decoders.Metaspace()
    spelled.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=spelled, pad_token="<pad>", eos_token="</s>", model_max_length=48
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    config = T5Config(
        vocab_size=len(vocabulary), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        decoder_start_token_id=0, initializer_factor=2.0,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config).eval()
    model.save_pretrained(folder)
    return folder, model, tokenizer
