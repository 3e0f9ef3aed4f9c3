"""Requests to a real vLLM, and what a forward pass of transformers makes of each of them."""

import pytest

from rerank.wants import Message, Request

LETTERS = tuple("ABCDEFGHIJKLMNOPQRST")
PROMPTS = ["Q", "Which passage is best? " * 8, "the query and the passage " * 60]


def runs_vllm(test):
    return pytest.mark.vllm(pytest.mark.slow(test))


def chat(want, content="Which passage is best?", prefill=""):
    return Request((Message("user", content),), want, prefill)


def raw(want, content):
    return Request((Message("user", content),), want, chat=False)


def replies(engine, requests):
    """Every reply, in the order of the requests."""
    for ticket, request in enumerate(requests):
        engine.submit(ticket, request)
    found = {}
    while len(found) < len(requests):
        finished = list(engine.poll())
        assert finished
        found.update(finished)
    return [found[ticket] for ticket in range(len(requests))]


def ids(model, request):
    """The prompt as the tiny checkpoint's template spells it, by hand."""
    [message] = request.messages
    content = f"<|im_start|>{message.role}\n{message.content}<|im_end|>\n<|im_start|>assistant\n"
    text = content if request.chat else message.content
    return model.tokenizer.encode(text + request.prefill, add_special_tokens=False)


def log_probabilities(model, tokens):
    """[token, vocabulary]: the distribution of what follows each token."""
    import torch

    with torch.no_grad():
        return model.model(torch.tensor([tokens])).logits[0].log_softmax(-1)


def label_scores(model, request):
    row = log_probabilities(model, ids(model, request))[-1]
    labels = [model.tokenizer.encode(x, add_special_tokens=False) for x in request.want.labels]
    return [float(row[label]) for [label] in labels]


def likelihood(model, request):
    prompt = ids(model, request)
    more = model.tokenizer.encode(request.want.continuation, add_special_tokens=False)
    rows = log_probabilities(model, prompt + more)[len(prompt) - 1 : -1]
    return sum(float(row[token]) for row, token in zip(rows, more, strict=True))


def greedy(model, request):
    import torch

    prompt = torch.tensor([ids(model, request)])
    wrote = model.model.generate(prompt, max_new_tokens=request.want.max_tokens, do_sample=False)
    return whole(model.tokenizer.decode(wrote[0, prompt.shape[1] :], skip_special_tokens=True))


def whole(text):
    """Without a character that was cut off; vLLM keeps it back, transformers writes a mark."""
    return text.rstrip("\ufffd")
