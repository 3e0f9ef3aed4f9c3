"""How one model's tokenizer spells a request: its prompt, its labels, its limits.

The one place where a label becomes a token id. It takes any Hugging Face tokenizer and
imports none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

from rerank.engines import LabelError
from rerank.engines.tokenisation.assembly import Apart, Assembly
from rerank.errors import EngineError
from rerank.stopwatch import stage
from rerank.wants import Labels, Likelihood, Logits, Message, Request

MARK = "\ue000rerank\ue000"
POWERS_OF_FOUR = {4**power for power in range(32)}
REQUESTS = 128  # that are remembered in parts, from one call about them to the next
MEND = "`rerank doctor --model MODEL` lists the prompts that fit"


class Tokens:
    """A tokenizer, asked only what an engine needs to know.

    With `starts`, the model begins by itself, so a continuation may follow an empty prompt.
    """

    def __init__(
        self,
        tokenizer: Any,
        template_options: dict[str, Any] | None = None,
        *,
        starts: bool = False,
    ) -> None:
        self.tokenizer, self._starts = tokenizer, starts
        self.template_options = template_options or {}
        self._labels: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}
        self._frames: dict[tuple[str, ...], tuple[str, ...] | None] = {}
        backend = getattr(tokenizer, "backend_tokenizer", None)
        self._assembly = Assembly(lambda text: self._encode(text, False), backend, self._spell)
        self._parts = lru_cache(REQUESTS)(self._taken_apart)
        self._trusted, self._told = True, 0

    @cached_property
    def special(self) -> tuple[str, ...]:
        """Every string that this tokenizer reads as a control token."""
        added = getattr(self.tokenizer, "added_tokens_decoder", {}).values()
        marked = [
            token.content for token in added if token.special or token.content.startswith("<")
        ]
        stated = getattr(self.tokenizer, "all_special_tokens", ())
        return tuple(dict.fromkeys([*stated, *marked]))

    def cut(self, text: str, limit: int) -> tuple[str, int, int]:
        """The first `limit` tokens of a text as text, how many it has, and how many it lost."""
        if not self.tokenizer.is_fast:
            raise EngineError("this tokenizer does not say where its tokens end: cut at words")
        spelled = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ends = [end for _, end in spelled["offset_mapping"]]
        if len(ends) <= limit:
            return text, len(ends), 0
        return text[: ends[limit - 1]] if limit else "", limit, len(ends) - limit

    @property
    def decodes(self) -> bool:
        """Whether `written` can be asked."""
        return bool(getattr(self.tokenizer, "is_fast", False))

    def written(self, before: Sequence[int], ids: Sequence[int]) -> str:
        """What these ids say after others, without control tokens.

        Both are decoded as one, since some tokenizers drop a space where a text starts; half a
        character at the end is left out.
        """
        known, whole = self._decode(before), self._decode([*before, *ids])
        said = whole[len(known) :] if whole.startswith(known) else self._decode(ids)
        return said.rstrip("\ufffd")

    def text(self, request: Request) -> str:
        """The whole prompt as the model sees it, up to where it starts to write."""
        if not request.chat:
            [message] = request.messages
            return message.content + request.prefill
        return self._spoken(request.messages) + request.prefill

    def ids(self, request: Request) -> list[int]:
        """The prompt as token ids. A chat template writes its own first token, raw text gets it.

        A request with seams is put together from parts that came before, where the template
        allows it; the ids are the same. Each time that there were four times as many requests one
        is tokenised whole as well, and where that proves otherwise, all are from then on.
        """
        with stage("tokenise"):
            parts = self._parts(request) if self._trusted else None
            if not parts:
                return self._encode(self.text(request), not request.chat)
            ids = self._assembly.ids(parts)
            self._told += 1
            return self._looked(request, ids) if self._told in POWERS_OF_FOUR else ids

    def learn(self, requests: Iterable[Request]) -> None:
        """Tokenise in one call what is new in these requests; their `ids` are quick after it."""
        with stage("tokenise"):
            if self._trusted:
                self._assembly.learn(filter(None, map(self._parts, requests)))

    def expect(self, request: Request) -> None:
        """Tokenise meanwhile what requests to come have in common with this one.

        Only of a tokenizer that does so without Python, and that no call has to put back as it was:
        any other would hold up the thread that asks, or change under it.
        """
        with stage("tokenise"):
            if self._trusted and self._side_by_side and (parts := self._parts(request)):
                self._assembly.expect(parts)

    def _looked(self, request: Request, ids: list[int]) -> list[int]:
        """The ids of the whole prompt; parts are trusted while theirs are the same."""
        whole = self._encode(self.text(request), False)
        self._trusted = ids == whole
        return whole

    def _taken_apart(self, request: Request) -> Apart | None:
        """The prompt cut at its seams and around its messages; None where that cannot be."""
        if (frame := self._around(request)) is None:
            return None
        parts = [frame[0]]
        contents = [message.content for message in request.messages]
        for content, seams, after in zip(contents, request.seams, frame[1:], strict=True):
            start = 0
            for end in seams:
                parts.append(content[start:end])
                start = end
            parts.append(content[start:] + after)
        parts[-1] += request.prefill
        return self._assembly.apart(parts)

    def _around(self, request: Request) -> tuple[str, ...] | None:
        """What stands around the messages of a request with seams, if that can be told."""
        if not (request.chat and request.seams):
            return None
        roles = tuple([message.role for message in request.messages])
        if roles not in self._frames:
            self._frames[roles] = self._frame(request)
        contents = [message.content for message in request.messages]
        bare = contents == [content.strip() for content in contents]
        return self._frames[roles] if bare else None

    def _frame(self, request: Request) -> tuple[str, ...] | None:
        """What the chat template writes around messages of these roles, if that is all it does."""
        marked = tuple(Message(m.role, MARK) for m in request.messages)
        frame = tuple(self._spoken(marked).split(MARK))
        contents = [message.content for message in request.messages]
        if len(frame) != len(contents) + 1:
            return None
        whole = frame[0] + "".join(c + after for c, after in zip(contents, frame[1:], strict=True))
        return frame if whole == self._spoken(request.messages) else None

    def _spoken(self, messages: Sequence[Message]) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                [message._asdict() for message in messages],
                add_generation_prompt=True,
                tokenize=False,
                **self.template_options,
            )
        )

    def label_ids(self, request: Request) -> tuple[int, ...]:
        """The token that each label is, right after this prompt.

        Verified once for each set of labels and ending of the prompt (algorithms.md 2.3):
        `encode(prompt + label)` is `encode(prompt)` and one more token, distinct for each label.
        Nothing before a control token changes what comes after it: such an ending of a raw prompt
        stands for all.
        """
        want = request.want
        assert isinstance(want, Labels | Logits)
        with stage("tokenise"):
            tail = self._tail(request)
            ending = "" if request.chat else next(filter(tail.endswith, self.special), "")
            key = (ending or tail[-16:], want.labels)
            if key not in self._labels:
                short = (Message("user", ending),)
                stands = replace(request, messages=short, prefill="", chat=False, seams=())
                self._labels[key] = self._verified(stands if ending else request, want.labels)
            return self._labels[key]

    def _tail(self, request: Request) -> str:
        """Its last sixteen characters, or more."""
        around = self._around(request)
        tail = around[-1] + request.prefill if around else ""
        return tail if len(tail) >= 16 else self.text(request)

    def continued(self, request: Request) -> tuple[list[int], int]:
        """The prompt and the continuation after it as one list of ids, and where the second starts.

        Refused with `EngineError` where the two would share a token: then it has no likelihood.
        """
        want = request.want
        assert isinstance(want, Likelihood)
        prompt = self.ids(request)
        whole = self.ids(replace(request, prefill=request.prefill + want.continuation))
        if not (prompt or self._starts) or whole[: len(prompt)] != prompt:
            raise EngineError(
                f"for this model's tokenizer, {want.continuation[:20]!r} does not start with a"
                " token of its own after the prompt, so it has no likelihood there"
            )
        return whole, len(prompt)

    def _verified(self, request: Request, labels: Sequence[str]) -> tuple[int, ...]:
        prefix, before = self.ids(request), self.text(request)[-12:]
        found: dict[int, str] = {}
        for label in labels:
            ids = self.ids(replace(request, prefill=request.prefill + label))
            if ids[:-1] != prefix or len(ids) != len(prefix) + 1:
                raise LabelError(
                    f"label {label!r} is not one token of its own after {before!r}"
                    f" for this model's tokenizer; {MEND}"
                )
            if ids[-1] in found:
                raise LabelError(
                    f"labels {found[ids[-1]]!r} and {label!r} are the same token; {MEND}"
                )
            found[ids[-1]] = label
        return tuple(found)

    def _spell(self, texts: list[str]) -> Iterable[list[int]]:
        """The ids of texts without special tokens, many in one call, as a fast tokenizer has them.

        It is asked as its class asks it, whatever others have set it to.
        """
        if not self._side_by_side:
            return (self._encode(text, False) for text in texts)
        fast = self.tokenizer.backend_tokenizer.encode_batch_fast
        return (it.ids for it in fast(texts, add_special_tokens=False))

    @property
    def _side_by_side(self) -> bool:
        """Whether its backend takes many texts at a time, as it stands."""
        backend: Any = getattr(self.tokenizer, "backend_tokenizer", None)
        if not hasattr(backend, "encode_batch_fast"):
            return False
        return not (backend.truncation or backend.padding or backend.encode_special_tokens)

    def _decode(self, ids: Sequence[int]) -> str:
        plain = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        return str(self.tokenizer.decode(list(ids), **plain))

    def _encode(self, text: str, special: bool) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=special))
