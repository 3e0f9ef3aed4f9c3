"""Requests without a template, asked all at once, and what plain transformers makes of them."""

from rerank.wants import Message, Request

PROMPTS = [
    "Passage: a cat\nQuery: cats\nAnswer:\n",
    "Query: which of these is about the sea?\n[1] waves and salt\n[2] a dry hill\nBest:\n",
    "A\n",
    "The quick brown fox jumps over the lazy dog. " * 4 + "\n",
]


def raw(prompt, want, prefill=""):
    return Request((Message("user", prompt),), want, prefill, chat=False)


def replies(engine, requests):
    """All at once: the engine decides what shares a batch."""
    for ticket, request in enumerate(requests):
        engine.check(request)
        engine.submit(ticket, request)
    found = {}
    while out := list(engine.poll()):
        found |= dict(out)
    assert sorted(found) == list(range(len(requests)))
    return [found[ticket] for ticket in range(len(requests))]


def log_probs(model, ids):
    """The log-probability of every token at every position, (tokens, vocabulary)."""
    import torch

    with torch.inference_mode():
        return model(torch.tensor([ids])).logits[0].log_softmax(-1)


def generated(model, ids, count, **options):
    import torch

    written = model.generate(
        torch.tensor([ids]), max_new_tokens=count, do_sample=False, num_beams=1, **options
    )
    return written[0].tolist()
