"""The OpenAI-compatible wire format: a request as JSON, and what a response's JSON says.

Pure functions. They know no connection and no retry, and nothing of what a server can do:
whoever sends a body decides whether this server may be trusted with it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from rerank.records import Usage
from rerank.wants import Labels, Likelihood, Reply, Request, Text

Body = dict[str, Any]

MASKED = -9999.0  # what vLLM writes for minus infinity: a token that was masked or never scored
LIMIT = re.compile(r"context length is (\d+)")
REQUESTED = re.compile(r"requested (\d+) tokens")
CONTAINED = re.compile(r"(?:contains|resulted in|has) (?:at least )?(\d+) (?:input )?tokens")
OVERFLOW = re.compile(
    r"context.?length|context.?size|context.?window|max_model_len|(prompt|input) is too long"
    r"|max_tokens must be at least 1, got",  # vLLM 0.32: a prompt that leaves room for nothing
    re.I,
)


class Failed(Exception):
    """No answer to one call: the reason in one line, and whether asking again may help."""

    def __init__(self, line: str, status: int = 0, again: bool = False, after: float = 0.0) -> None:
        super().__init__(line)
        self.line, self.status, self.again, self.after = line, status, again, after

    @property
    def overflows(self) -> bool:
        """Whether the server says that the prompt is longer than the model can read."""
        return self.status in (400, 413, 422) and OVERFLOW.search(self.line) is not None


@dataclass(frozen=True)
class Wire:
    """Spells requests for one model; `extra_body` goes into every completion, last."""

    model: str
    template_options: Mapping[str, Any]
    extra_body: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What decides a reply, as far as a client knows it: neither port nor key."""
        template, body = dict(self.template_options), dict(self.extra_body)
        decides = {"chat_template_options": template, "extra_body": body}
        return f"http {self.model} {json.dumps(decides, sort_keys=True, default=str)}"

    def prompt(self, request: Request, started: str) -> Body:
        """What the model is to read; `started` is what it has already begun to write."""
        if not request.chat:
            [message] = request.messages
            return {"model": self.model, "prompt": message.content + started}
        messages = [message._asdict() for message in request.messages]
        body: Body = {"model": self.model, "messages": messages}
        if self.template_options:
            body["chat_template_kwargs"] = dict(self.template_options)
        if started:
            messages.append({"role": "assistant", "content": started})
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body

    def text(self, request: Request, want: Text, at_most: int | None = None) -> Body:
        """Ask for text; a seed has no effect at temperature 0 and is left out there."""
        body = self.prompt(request, request.prefill)
        body |= {"max_tokens": at_most or want.max_tokens, "temperature": want.temperature}
        if want.stop:
            body["stop"] = list(want.stop)
        if want.temperature > 0 and want.seed is not None:
            body["seed"] = want.seed
        return body | dict(self.extra_body)

    def labels(self, request: Request, ids: Sequence[int]) -> Body:
        """Ask for the log-probabilities of exactly these tokens (a parameter of vLLM's)."""
        body = self.top(request, 0) | {"logprob_token_ids": list(ids)}
        return body | {"return_tokens_as_token_ids": True}

    def top(self, request: Request, count: int) -> Body:
        """Ask for the `count` most probable next tokens."""
        wanted = {"logprobs": True, "top_logprobs": count} if request.chat else {"logprobs": count}
        body = self.prompt(request, request.prefill) | wanted
        return body | {"max_tokens": 1, "temperature": 0.0} | dict(self.extra_body)

    def likelihood(self, request: Request) -> Body:
        """Ask for the log-probability of each token of the prompt and its continuation."""
        body = self.prompt(request, begun(request))
        body |= {"prompt_logprobs": 0, "max_tokens": 1, "temperature": 0.0}
        return body | dict(self.extra_body)


def path(request: Request) -> str:
    return "/chat/completions" if request.chat else "/completions"


def begun(request: Request) -> str:
    """All that the model reads as if it had written it."""
    want = request.want
    return request.prefill + (want.continuation if isinstance(want, Likelihood) else "")


def room(request: Request) -> int:
    """How many tokens of the context the reply needs."""
    return request.want.max_tokens if isinstance(request.want, Text) else 1


def read_text(body: Any) -> Reply:
    """What the model wrote; its reasoning, where a server sets that apart, is no part of it.

    A model that was cut off while it thought wrote nothing: its content is null, and no error.
    """
    try:
        choice = body["choices"][0]
        text = choice["text"] if "text" in choice else choice["message"]["content"]
        finished = choice.get("finish_reason") != "length"
    except (KeyError, IndexError, TypeError, AttributeError):
        return _unreadable(body, "no text")
    if not isinstance(text, str) and (text is not None or not choice.get("finish_reason")):
        return _unreadable(body, "no text")
    return Reply(text=text or "", usage=_usage(body), finished=finished)


def read_labels(body: Any, labels: Labels, names: Sequence[str]) -> Reply:
    """The score of each label; `names` is what the server calls its token."""
    try:
        found = _next_token(body["choices"][0]["logprobs"])
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        return _unreadable(body, "no log-probabilities")
    scores = []
    for label, name in zip(labels.labels, names, strict=True):
        values = [value for token, value in found if token == name]
        if len(values) != 1 or values[0] <= MASKED:
            missing = "twice in" if len(values) > 1 else "not in"
            error = f"label {label!r} is {missing} the log-probabilities that came back"
            return Reply(usage=_usage(body), error=error)
        scores.append(values[0])
    return Reply(scores=tuple(scores), usage=_usage(body))


def _next_token(logprobs: Any) -> list[tuple[str, float]]:
    """Tokens and log-probabilities of the first position: a list in chats, else a mapping."""
    if "content" in logprobs:
        top = logprobs["content"][0]["top_logprobs"]
        return [(token["token"], float(token["logprob"])) for token in top]
    return [(token, float(value)) for token, value in logprobs["top_logprobs"][0].items()]


def read_likelihood(body: Any, prefix: Sequence[int]) -> Reply:
    """The sum over the tokens after `prefix`, which must be how the whole begins."""
    try:
        listed = body.get("prompt_logprobs") or body["choices"][0]["prompt_logprobs"]
        tokens = [next(iter(position.items())) for position in listed[1:]]
        ids = [int(token) for token, _ in tokens]
        values = [float(token["logprob"]) for _, token in tokens]
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, StopIteration):
        return _unreadable(body, "no log-probabilities of the prompt")
    start = len(prefix) - 1
    if ids[:start] != list(prefix[1:]) or len(ids) == start:
        error = "the continuation is not tokens of its own after the prompt"
        return Reply(usage=_usage(body), error=error)
    return Reply(scores=(fsum(values[start:]),), usage=_usage(body))


def _usage(body: Any) -> Usage:
    """What was read and written, also where the reply itself is unreadable."""
    try:
        usage = body["usage"]
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
        return Usage(int(read or 0), int(cached or 0), int(written or 0))
    except (KeyError, TypeError, AttributeError, ValueError):
        return Usage()


def _unreadable(body: Any, lacks: str) -> Reply:
    said = line(json.dumps(body, ensure_ascii=False))
    return Reply(usage=_usage(body), error=f"the server's reply has {lacks}: {said}")


def reason(text: str) -> str:
    """Why a server refused, from the body of its answer, in one line."""
    try:
        body = json.loads(text)
        error = body.get("error", body)
        said = error if isinstance(error, str) else error.get("message") or error.get("detail")
    except (ValueError, AttributeError):
        said = None
    return line(str(said or text or "(no reason given)"))


def line(text: str) -> str:
    return " ".join(text.split())[:300]


def excess(failed: Failed, request: Request) -> int:
    """How many tokens too long a prompt is: as the server says it, else guessed from its length."""
    limit = LIMIT.search(failed.line)
    requested, contained = REQUESTED.search(failed.line), CONTAINED.search(failed.line)
    if limit and requested:
        return max(1, int(requested[1]) - int(limit[1]))
    if limit and contained and "at least" not in failed.line:
        return max(1, int(contained[1]) + room(request) - int(limit[1]))
    letters = sum(len(message.content) for message in request.messages)
    return max(1, letters // 16)  # a quarter of the prompt, at four letters a token
