"""Cross-encoders against a direct forward pass, and what no scorer can be made of."""

import json
import sys

import pytest
from checkpoints import DOCS, QUERY, WORDS, bert, replies, scores, wordpiece

from rerank.engines.scorer import Scorer
from rerank.errors import EngineError, InputError, MissingExtra, UsageError

pytestmark = pytest.mark.slow  # torch alone takes seconds to import


@pytest.fixture(scope="module", params=[1, 2])
def crossencoder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"crossencoder{request.param}")
    model = bert(folder, "BertForSequenceClassification", num_labels=request.param)
    return folder, model, wordpiece(folder)


def test_a_cross_encoder_gives_the_logit_of_a_direct_forward_pass(crossencoder):
    import torch

    folder, model, tokenizer = crossencoder
    scorer = Scorer(str(folder), device="cpu")
    found = scores(scorer, [(QUERY, doc) for doc in DOCS])
    for doc, score in zip(DOCS, found, strict=True):
        with torch.inference_mode():
            logits = model(**tokenizer(QUERY, doc, return_tensors="pt")).logits[0].tolist()
        wanted = logits[0] if len(logits) == 1 else logits[1] - logits[0]
        assert score == pytest.approx(wanted, abs=1e-5)
    assert scorer.score_kind == "logit"
    assert len({round(score, 4) for score in found}) == len(set(DOCS))


def test_a_cross_encoders_score_does_not_depend_on_who_shares_the_batch(crossencoder):
    folder, _, _ = crossencoder
    pairs = [(QUERY, doc) for doc in DOCS]
    together = scores(Scorer(str(folder)), pairs)
    assert scores(Scorer(str(folder), batch_tokens=1), pairs) == pytest.approx(together, abs=1e-5)


def test_of_a_pair_too_long_the_document_is_cut_and_the_query_survives(crossencoder):
    folder, _, tokenizer = crossencoder
    doc = "the sea is blue " * 20
    fits = 40 - len(tokenizer([QUERY], [""])["input_ids"][0])
    [reply] = replies(Scorer(str(folder)), [(QUERY, doc)])
    assert reply.truncated == 80 - fits
    assert reply.usage.prompt_tokens == 40
    kept = " ".join(doc.split()[:fits])
    assert reply.scores == pytest.approx(scores(Scorer(str(folder)), [(QUERY, kept)]), abs=1e-5)
    [shorter] = replies(Scorer(str(folder), max_length=20), [(QUERY, doc)])
    assert shorter.truncated == reply.truncated + 20


def test_an_empty_document_is_still_the_second_of_two_texts(crossencoder):
    folder, _, _ = crossencoder
    [empty] = replies(Scorer(str(folder)), [(QUERY, "")])
    assert empty.usage.prompt_tokens == len(QUERY.split()) + 3  # [CLS] query [SEP] [SEP]


def test_a_decoder_with_a_score_head_is_a_cross_encoder_too(tmp_path):
    """RankLLaMA's kind: it scores at the last token, which padding must not move."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    tokenizer = wordpiece(tmp_path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_labels=1, initializer_range=0.5,
    )  # fmt: skip
    model = LlamaForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path)
    found = scores(Scorer(str(tmp_path)), [(QUERY, doc) for doc in DOCS])
    for doc, score in zip(DOCS, found, strict=True):
        ids = tokenizer(QUERY, doc, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            hidden = model.model(ids).last_hidden_state[0, -1]
            assert score == pytest.approx(float(model.score(hidden)), abs=1e-5)


def test_a_bfloat16_cross_encoder_has_a_float32_head(crossencoder):
    folder, _, _ = crossencoder
    pairs = [(QUERY, " ".join(WORDS[:count])) for count in range(1, len(WORDS))]
    exact = scores(Scorer(str(folder)), pairs)
    coarse = scores(Scorer(str(folder), dtype="bfloat16"), pairs)
    assert len(set(coarse)) == len(set(exact)) == len(pairs)
    assert coarse == pytest.approx(exact, abs=0.5)


@pytest.mark.parametrize(
    ("kind", "options", "line"),
    [
        ("BertForMaskedLM", {}, "a BertForMaskedLM: neither an encoder nor a cross-encoder"),
        ("BertForSequenceClassification", {"num_labels": 3}, "has 3 labels"),
    ],
)
def test_a_checkpoint_that_is_neither_is_an_error(tmp_path, kind, options, line):
    bert(tmp_path, kind, **options)
    wordpiece(tmp_path)
    with pytest.raises(EngineError, match=line):
        Scorer(str(tmp_path))


def test_weights_that_the_files_lack_are_an_error_and_never_random_numbers(tmp_path):
    bert(tmp_path, "BertModel")
    wordpiece(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match=r"no fitting weights for classifier\.bias"):
        Scorer(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "wrong", "line"),
    [
        ({"model": "./nowhere"}, InputError, "model './nowhere': no such folder"),
        ({"max_length": 0}, UsageError, "max_length is 0; it must be 1 or more"),
        ({"max_length": -1}, UsageError, "max_length is -1; it must be 1 or more"),
        ({"max_length": 1000}, EngineError, "max_length 1000: all-MiniLM-L6-v2 takes 512 tokens"),
        ({"similarity": "euclid"}, UsageError, "use cosine, dot or maxsim"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(options, wrong, line):
    with pytest.raises(wrong) as error:
        Scorer(**{"model": "all-MiniLM-L6-v2", **options})
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_without_the_extra_the_line_that_installs_it_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install .*\[transformers\]'"):
        Scorer("all-MiniLM-L6-v2")
