"""One model behind an OpenAI-compatible API: what it can be trusted with, and its replies.

Servers answer 200 to parameters that they do not know (vLLM does), so nothing is taken for
granted: whatever a score depends on is verified from replies. It opens no connection.
"""

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from typing import Any, Protocol, cast

from rerank.engines.remote import openai
from rerank.engines.remote.openai import Body, Failed, Wire
from rerank.engines.tokenisation.tokens import Tokens
from rerank.errors import EngineError
from rerank.wants import Labels, Likelihood, Pair, Reply, Request, Text

UNSUPPORTED = (400, 404, 405, 422, 501)  # how servers refuse what they do not know
TOP = (20, 5)  # how many of the most probable tokens servers give: most, and the sparing ones
GLIMPSE = 16  # tokens that a check lets a model write
NO_PAIRS = "a server of text scores no pairs of query and document; the scorer engine does"
NEWER_LIMIT = "max_completion_tokens"  # what OpenAI calls max_tokens for its newer models


class Calls(Protocol):
    """A connection: the JSON of an answer, or `Failed`. "//path" stands beside the API's /v1."""

    place: str

    async def get(self, path: str) -> Any: ...
    async def post(self, path: str, body: Body) -> Any: ...


@dataclass(frozen=True)
class Answered:
    """A server's tokenizer, as far as it has been asked: what `Tokens` needs of a tokenizer."""

    spoken: str
    ids: Mapping[str, list[int]]

    def apply_chat_template(self, *_: Any, **__: Any) -> str:
        return self.spoken

    def encode(self, text: str, **_: Any) -> list[int]:
        return self.ids[text]


class Served:
    """Asks one model on one server.

    Labels are exact or refused. With `logprob_token_ids` (vLLM 0.26 and later) the server gives
    the log-probability of each label over the full vocabulary, and its own tokenizer says which
    token a label is. Without it only chats are scored, from the most probable next tokens (20, or
    the 5 that some servers give), where a label is the token of just its letters: a reply that
    lacks a label is an error, and `check` refuses where its first try lacks one. A started reply
    (prefill) is sent only to a server that shows, by /tokenize, that it continues it.
    `Likelihood` takes vLLM's `prompt_logprobs`.
    """

    def __init__(self, wire: Wire, server: Calls) -> None:
        self.wire, self.server = wire, server
        self._limit, self._context = "max_tokens", 0  # the context is 0 where it is unknown
        self._top = 0  # 0: labels by their token ids
        self._ids: dict[Hashable, asyncio.Task[tuple[int, ...]]] = {}

    async def reply(self, request: Request) -> Reply:
        """Answer a request, or say in the reply why there is no answer.

        Raises `Failed` where the server is in trouble, and not the request.
        """
        try:
            return await self._ask(request, self._top)
        except Failed as failed:
            if failed.again:
                raise
            if failed.overflows:
                return Reply(overflow=await self._excess(request, failed))
            return Reply(error=failed.line)
        except EngineError as refused:
            return Reply(error=str(refused))

    @property
    def place(self) -> str:
        return self.server.place

    async def stands(self) -> bool:
        """Whether the server says anything at all, be it that it lists no models."""
        try:
            await self.server.get("/models")
        except Failed as failed:
            return not failed.again
        return True

    async def check(self, request: Request) -> None:
        """Try one request; raise `EngineError` or `Failed` where it cannot be answered exactly."""
        if isinstance(request.want, Pair):
            raise EngineError(NO_PAIRS)
        await self._greet()
        read = await self._verified(request)
        match request.want:
            case Text() as want:
                reply = await self._glimpse(request, want)
            case Labels():
                reply = await self._first_labels(request)
            case _:
                reply = await self._ask(request, 0)
        if reply.error and not (isinstance(request.want, Text) and reply.usage.completion_tokens):
            raise EngineError(f"{self.server.place}: {reply.error}")
        if read and reply.usage.prompt_tokens not in (0, read):
            raise EngineError(
                f"{self.server.place} reads {reply.usage.prompt_tokens} tokens where its own"
                f" tokenizer makes {read} of the prompt: scores would be of another prompt"
            )

    async def _ask(self, request: Request, top: int) -> Reply:
        match request.want:
            case Text() as want:
                body = await self._complete(request, self.wire.text(request, want))
                return self._with_room(openai.read_text(body), want)
            case Labels() as want if top:
                body = await self._complete(request, self.wire.top(request, top))
                return openai.read_labels(body, want, want.labels)
            case Labels() as want:
                ids = await self._label_ids(request, want)
                body = await self._complete(request, self.wire.labels(request, ids))
                return openai.read_labels(body, want, [f"token_id:{token}" for token in ids])
            case Likelihood():
                prefix = await self._encode(self.wire.prompt(request, request.prefill))
                body = await self._complete(request, self.wire.likelihood(request))
                return openai.read_likelihood(body, prefix)
        raise EngineError(NO_PAIRS)

    def _with_room(self, reply: Reply, want: Text) -> Reply:
        """Where a prompt leaves too little room, vLLM writes less than it may, without a word."""
        read, written = reply.usage.prompt_tokens, reply.usage.completion_tokens
        if reply.finished or written >= want.max_tokens or not 0 < self._context <= read + written:
            return reply
        return Reply(usage=reply.usage, overflow=read + want.max_tokens - self._context)

    async def _complete(self, request: Request, body: Body) -> Any:
        """Post a completion, with the name that this model has for the limit of its length."""
        if request.chat and self._limit == NEWER_LIMIT:
            body[NEWER_LIMIT] = body.pop("max_tokens")
        try:
            return await self.server.post(openai.path(request), body)
        except Failed as failed:
            if NEWER_LIMIT not in failed.line or failed.overflows or "max_tokens" not in body:
                raise
        self._limit = NEWER_LIMIT
        return await self._complete(request, body)

    async def _greet(self) -> None:
        """Refuse a model that the server does not list; many gateways list nothing."""
        try:
            body = await self.server.get("/models")
        except Failed as failed:
            if failed.status not in UNSUPPORTED:
                raise
            return
        listed = body.get("data") if isinstance(body, dict) else None
        served = {
            str(one["id"]): one for one in listed or () if isinstance(one, dict) and "id" in one
        }
        self._context = served.get(self.wire.model, {}).get("max_model_len") or 0
        names, model = list(served), self.wire.model
        if names and not any(name == model or name.endswith(f"/{model}") for name in names):
            close = get_close_matches(model, names, 5, 0.4) or sorted(names)[:5]
            more = f" and {len(names) - len(close)} more" if len(names) > len(close) else ""
            raise EngineError(
                f"{self.server.place} does not serve {model!r}; it serves {', '.join(close)}{more}"
            )

    async def _glimpse(self, request: Request, want: Text) -> Reply:
        """The first few tokens of a text: enough to see that its form is accepted."""
        body = self.wire.text(request, want, min(GLIMPSE, want.max_tokens))
        try:
            return openai.read_text(await self._complete(request, body))
        except Failed as failed:
            if "output limit" not in failed.line:  # how OpenAI says that it reasoned to the limit
                raise
            return Reply()

    async def _first_labels(self, request: Request) -> Reply:
        """Find the way in which this server scores labels, the exact one first.

        Others are asked as before meanwhile, and where there is none for these labels.
        """
        for top in (0, *TOP) if request.chat else (0,):
            reply = await self._tried(request, top)
            if not reply.error:
                self._top = top
                return reply
        raise EngineError(
            f"{self.server.place} cannot score these labels exactly: it does not honour"
            f" logprob_token_ids (vLLM 0.26 and later does), and otherwise {reply.error}"
        )

    async def _tried(self, request: Request, top: int) -> Reply:
        try:
            return await self._ask(request, top)
        except Failed as failed:
            if failed.overflows or failed.status not in UNSUPPORTED:
                raise
            return Reply(error=failed.line)

    async def _verified(self, request: Request) -> int:
        """How many tokens the server must read, where a reply depends on them; 0: unknown."""
        want = request.want
        if isinstance(want, Text) and not (request.chat and request.prefill):
            return 0
        request = replace(request, prefill=openai.begun(request))
        try:
            tokens = await self._tokens(request)
        except Failed as failed:
            if failed.status not in UNSUPPORTED:
                raise
            if isinstance(want, Labels) and request.chat and not request.prefill:
                return 0
            raise EngineError(
                f"{self.server.place} does not show how it spells a prompt (no /tokenize): use a"
                " prompt of chat messages that starts no reply, or another engine"
            ) from None
        return len(tokens.ids(request))

    async def _label_ids(self, request: Request, want: Labels) -> tuple[int, ...]:
        """The token of each label, asked once for each ending of a prompt, by one for all.

        Whoever is cancelled meanwhile leaves it to the others.
        """
        start = "" if request.chat else request.messages[0].content
        key = (request.chat, (start + request.prefill)[-16:], want.labels)
        if key not in self._ids:
            self._ids[key] = asyncio.create_task(self._spell_labels(request))
            self._ids[key].add_done_callback(partial(self._spelled, key))
        return await asyncio.shield(self._ids[key])

    def _spelled(self, key: Hashable, task: "asyncio.Task[tuple[int, ...]]") -> None:
        """Where that was a server in trouble, and not a label, it is asked again next time."""
        if task.cancelled() or not isinstance(task.exception(), EngineError | None):
            del self._ids[key]

    async def _spell_labels(self, request: Request) -> tuple[int, ...]:
        return (await self._tokens(request)).label_ids(request)

    async def _tokens(self, request: Request) -> Tokens:
        """How the server spells this prompt and each label after it, in terms of `Tokens`.

        Raises `EngineError` where a chat is not its template's own text and then the prefill,
        which is what every other engine reads.
        """
        spoken = request.messages[0].content
        if request.chat:
            spoken = await self._decode(await self._encode(self.wire.prompt(request, "")))
        text = spoken + request.prefill
        labels = request.want.labels if isinstance(request.want, Labels) else ()
        texts = [text, *(text + label for label in labels)]
        bodies = [self._raw(one, special=not request.chat) for one in texts]
        spelled = await asyncio.gather(*map(self._encode, bodies))
        if request.chat:
            whole = await self._encode(self.wire.prompt(request, request.prefill))
            if whole != spelled[0]:
                raise EngineError(
                    f"{self.server.place}: the chat template does not go on with"
                    f" {request.prefill!r} where it starts a reply; try other template options"
                )
        return Tokens(Answered(spoken, dict(zip(texts, spelled, strict=True))))

    def _raw(self, text: str, special: bool) -> Body:
        return {"model": self.wire.model, "prompt": text, "add_special_tokens": special}

    async def _encode(self, body: Body) -> list[int]:
        return list((await self._tokenized(body))["tokens"])

    async def _tokenized(self, body: Body) -> Body:
        answer = await self.server.post("//tokenize", body)
        tokens = answer.get("tokens") if isinstance(answer, dict) else None
        if not isinstance(tokens, list) or not tokens:  # llama.cpp reads another field: no tokens
            raise Failed(f"{self.server.place} has no /tokenize such as vLLM's", 404)
        return cast(Body, answer)

    async def _decode(self, tokens: Sequence[int]) -> str:
        body = {"model": self.wire.model, "tokens": list(tokens)}
        answer = await self.server.post("//detokenize", body)
        return str(answer["prompt"]) if isinstance(answer, dict) and "prompt" in answer else ""

    async def _excess(self, request: Request, failed: Failed) -> int:
        """How many tokens too long: vLLM counts only as far as its limit, its /tokenize all."""
        with suppress(Failed):
            answer = await self._tokenized(self.wire.prompt(request, openai.begun(request)))
            if isinstance(limit := answer.get("max_model_len"), int):
                return max(1, len(answer["tokens"]) + openai.room(request) - limit)
        return openai.excess(failed, request)
