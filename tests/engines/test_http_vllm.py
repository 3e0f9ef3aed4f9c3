"""The HTTP engine against vLLM's own server, with a tiny model."""

from math import fsum

import pytest
from scripted import AB, all_of, asking, checked, engine, one

from rerank.engines import LabelError
from rerank.engines.tokenisation.tokens import Tokens
from rerank.errors import EngineError
from rerank.wants import Labels, Likelihood, Text

CONTEXT = 2048


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A tiny checkpoint with heads of 32 numbers: vLLM's CPU attention knows none of 16."""
    from tiny import checkpoint

    return checkpoint(tmp_path_factory.mktemp("served") / "model", hidden=128, context=CONTEXT)


@pytest.fixture(scope="module")
def vllm_url(tiny_model):
    from servers import openai_server

    with openai_server(tiny_model) as url:
        yield url


@pytest.fixture(scope="module")
def reference(tiny_model):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype="float32").eval()
    return model, Tokens(AutoTokenizer.from_pretrained(tiny_model))


def log_probabilities(model, ids):
    import torch

    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double().log_softmax(-1)


def many(want, **rest):
    """Prompts of many lengths, with letters that are not ASCII."""
    texts = [f"Which of {i} is best? Straße {'passage ' * i}" for i in (0, 3, 40, 150)]
    return [asking(text, want, **rest) for text in texts]


LETTERS = Labels(tuple("ABCDEFGHIJKLMNOPQRST"))


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.parametrize("form", [{}, {"prefill": "["}, {"chat": False, "prefill": "\n"}])
def test_vllm_scores_labels_as_transformers_does(vllm_url, reference, form):
    model, tokens = reference
    requests = many(LETTERS, **form)
    with engine(vllm_url) as opened:
        opened.check(requests[0])
        replies = all_of(opened, requests)
    for ticket, request in enumerate(requests):
        ids, labels = tokens.ids(request), tokens.label_ids(request)
        expected = log_probabilities(model, ids)[-1, list(labels)].tolist()
        assert replies[ticket].scores == pytest.approx(expected, abs=1e-4)
        assert replies[ticket].usage.prompt_tokens == len(ids)


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.parametrize("form", [{}, {"chat": False}, {"prefill": "Best: ["}])
def test_vllm_writes_as_transformers_does(vllm_url, reference, form):
    import torch

    model, tokens = reference
    requests = many(Text(12), **form)
    with engine(vllm_url) as opened:
        opened.check(requests[0])
        replies = all_of(opened, requests)
    for ticket, request in enumerate(requests):
        ids = tokens.ids(request)
        written = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[
            0, len(ids) :
        ]
        text = tokens.tokenizer.decode(written, skip_special_tokens=True)
        assert replies[ticket].text.rstrip("\ufffd") == text.rstrip("\ufffd")
        assert replies[ticket].finished == (len(written) < 12)


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.parametrize("form", [{}, {"chat": False}, {"prefill": "Query:"}])
def test_vllm_weighs_a_continuation_as_transformers_does(vllm_url, reference, form):
    model, tokens = reference
    requests = many(Likelihood(" which passage is best"), **form)
    with engine(vllm_url) as opened:
        opened.check(requests[0])
        replies = all_of(opened, requests)
    for ticket, request in enumerate(requests):
        prefix = tokens.text(request)
        whole = tokens.tokenizer.encode(prefix + " which passage is best", add_special_tokens=False)
        start = len(tokens.ids(request))
        rows = log_probabilities(model, whole)
        expected = fsum(float(rows[i - 1, whole[i]]) for i in range(start, len(whole)))
        assert replies[ticket].scores == pytest.approx((expected,), abs=1e-4)


@pytest.mark.slow
@pytest.mark.vllm
def test_vllm_counts_what_is_too_long(vllm_url, reference):
    """Prompts that are far too long, just too long, exactly the limit, and that fit."""
    _, tokens = reference
    with engine(vllm_url) as opened:
        opened.check(asking())
        for want, written in ((Text(20), 20), (AB, 1)):
            spoken = len(tokens.ids(asking("", want)))
            for letters in (40000, CONTEXT, CONTEXT - spoken, CONTEXT - spoken - written + 1):
                reply = one(opened, asking("[" * letters, want))
                assert reply.overflow == spoken + letters + written - CONTEXT
                assert not reply.error
            fits = one(opened, asking("[" * (CONTEXT - spoken - written), want))
            assert (fits.overflow, fits.error) == (0, "")


@pytest.mark.slow
@pytest.mark.vllm
def test_vllm_answers_hundreds_at_once_from_its_cache(vllm_url):
    shared = "The same words first, then what differs. " * 8
    requests = [asking(f"{shared}{i}", want) for i in range(100) for want in (AB, Text(3))]
    with engine(vllm_url) as opened:
        opened.check(requests[0])
        replies = all_of(opened, requests)
    assert not [reply for reply in replies.values() if reply.error]
    assert sum(reply.usage.cached_tokens > 0 for reply in replies.values()) > 150
    assert all(len(reply.scores) == 2 for ticket, reply in replies.items() if ticket % 2 == 0)


@pytest.mark.slow
@pytest.mark.vllm
def test_vllm_refuses_what_it_cannot_answer_in_one_line(vllm_url):
    with pytest.raises(EngineError, match=r"does not serve 'small'; it serves tiny$"):
        checked(vllm_url, model="small")
    with pytest.raises(LabelError, match="label 'AB' is not one token"):
        checked(vllm_url, asking(want=Labels(("A", "AB"))))
    with pytest.raises(EngineError, match=r"HTTP 404 .* does the base URL end as"):
        checked(vllm_url.removesuffix("/v1"))
