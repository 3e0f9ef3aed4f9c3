"""What an output of vLLM's says of the request that it answers.

Its law: outputs are read by their fields alone, and a field that lacks what was asked for makes an
error of the reply, never a guess. It imports nothing of vLLM.
"""

from collections.abc import Callable
from math import fsum, isfinite, nan
from typing import Any, TypeAlias

from rerank.engines.tokenisation.tokens import Tokens
from rerank.records import Usage
from rerank.wants import Reply

Reader: TypeAlias = Callable[[Any, Usage], Reply]
"""Makes a reply of an output and of what it cost."""


def replied(output: Any, read: Reader) -> Reply:
    """What a finished request came to; an error where vLLM ended it."""
    [said] = output.outputs
    if said.finish_reason not in ("stop", "length"):
        return Reply(error=f"vLLM ended the request: {said.finish_reason}")
    cached = output.num_cached_tokens or 0
    return read(output, Usage(len(output.prompt_token_ids), cached, len(said.token_ids)))


def written(output: Any, usage: Usage) -> Reply:
    """Text that vLLM decoded, since a string could have stopped it."""
    [said] = output.outputs
    return Reply(text=said.text, usage=usage, finished=said.finish_reason != "length")


def decoded(tokens: Tokens, before: list[int], output: Any, usage: Usage) -> Reply:
    """What was written, decoded in one go: vLLM does so token by token, after all the prompt.

    The token that ended it is no text.
    """
    [said] = output.outputs
    finished = said.finish_reason != "length"
    ids = list(said.token_ids)[:-1] if finished else list(said.token_ids)
    return Reply(text=tokens.written(before, ids), usage=usage, finished=finished)


def scored(label_ids: tuple[int, ...], output: Any, usage: Usage) -> Reply:
    """The sampled token stands before the labels and may be one of them."""
    flat = output.outputs[0].logprobs
    found = dict(zip(flat.token_ids, flat.logprobs, strict=True))
    scores = tuple(found.get(label, nan) for label in label_ids)
    if not all(map(isfinite, scores)):
        return Reply(error="vLLM left out the log-probability of a label", usage=usage)
    return Reply(scores=scores, usage=usage)


def summed(start: int, output: Any, usage: Usage) -> Reply:
    """Place i of vLLM's list holds the prompt's own token i, given those before it."""
    flat, prompt = output.prompt_logprobs, output.prompt_token_ids
    places = flat.start_indices[start:]
    if len(flat) != len(prompt) or [flat.token_ids[place] for place in places] != prompt[start:]:
        return Reply(error="vLLM left out a token of the continuation", usage=usage)
    return Reply(scores=(fsum(flat.logprobs[place] for place in places),), usage=usage)
