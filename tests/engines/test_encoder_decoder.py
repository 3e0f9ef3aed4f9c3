"""An encoder-decoder scores and writes what plain transformers does, where its decoder begins."""

import pytest
from checkpoints import encoder_decoder
from plainly import generated, raw, replies

from rerank.engines.transformers import Transformers
from rerank.errors import EngineError
from rerank.wants import Labels, Likelihood, Message, Request, Text

pytestmark = pytest.mark.slow  # torch alone takes seconds to import


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    return encoder_decoder(tmp_path_factory.mktemp("t5"))


T5_PROMPTS = ["Query: cats Document: cats sleep Relevant:", "Query: dogs Document: the Relevant:"]


def decoder_log_probs(model, tokenizer, prompt, written):
    import torch

    with torch.inference_mode():
        ids = torch.tensor([tokenizer.encode(prompt)])
        return model(ids, decoder_input_ids=torch.tensor([[0, *written]])).logits[0].log_softmax(-1)


@pytest.mark.parametrize("prefill", ["", "the sea is"])
def test_an_encoder_decoder_scores_labels_where_the_decoder_begins(t5, prefill):
    folder, model, tokenizer = t5
    engine = Transformers(str(folder))
    space = " " if prefill else ""
    want = Labels((f"{space}true", f"{space}false"))
    found = replies(engine, [raw(prompt, want, prefill) for prompt in T5_PROMPTS])
    opens = tokenizer.encode(prefill, add_special_tokens=False)
    for prompt, reply in zip(T5_PROMPTS, found, strict=True):
        scores = decoder_log_probs(model, tokenizer, prompt, opens)[-1]
        wanted = [
            float(scores[tokenizer.convert_tokens_to_ids(f"▁{x}")]) for x in ("true", "false")
        ]
        assert reply.scores == pytest.approx(wanted, abs=1e-5)


def test_an_encoder_decoder_scores_a_continuation(t5):
    folder, model, tokenizer = t5
    texts = ["the sea", "dogs bark"]
    found = replies(
        Transformers(str(folder)), [raw(T5_PROMPTS[0], Likelihood(text)) for text in texts]
    )
    for text, reply in zip(texts, found, strict=True):
        ids = tokenizer.encode(text, add_special_tokens=False)
        scores = decoder_log_probs(model, tokenizer, T5_PROMPTS[0], ids)
        wanted = sum(float(scores[i, token]) for i, token in enumerate(ids))
        assert reply.scores == (pytest.approx(wanted, abs=1e-5),)


def test_an_encoder_decoder_writes_what_generate_writes(t5):
    folder, model, tokenizer = t5
    limits = (9, 4)
    asked = [raw(prompt, Text(limit)) for prompt, limit in zip(T5_PROMPTS, limits, strict=True)]
    for prompt, limit, reply in zip(
        T5_PROMPTS, limits, replies(Transformers(str(folder)), asked), strict=True
    ):
        written = generated(model, tokenizer.encode(prompt), limit)
        assert reply.text == tokenizer.decode(written, skip_special_tokens=True)


def test_a_chat_without_a_template_is_an_error_in_one_line(t5):
    with pytest.raises(EngineError, match="template") as error:
        Transformers(str(t5[0])).check(Request((Message("user", "cats"),), Text(1)))
    assert "\n" not in str(error.value)


def test_the_two_sides_of_an_encoder_decoder_do_not_share_its_length(t5):
    folder, _, tokenizer = t5
    length = len(tokenizer.encode(T5_PROMPTS[0]))
    engine = Transformers(str(folder), max_model_len=length)
    wants = [Labels(("true", "false")), Text(length), Text(length + 2)]
    found = replies(engine, [raw(T5_PROMPTS[0], want) for want in wants])
    assert [reply.overflow for reply in found] == [0, 0, 2]
    [cut] = replies(Transformers(str(folder), max_model_len=4), [raw(T5_PROMPTS[0], wants[0])])
    assert cut.overflow == length - 4
