"""A request becomes the token ids that a model in this process reads, and those it is asked of.

A model with an encoder has two sides: it reads the prompt on one and writes on the other, so a
prefill, a label and a continuation stand on the writing side.
"""

from dataclasses import replace
from typing import Any

from jinja2 import TemplateError

from rerank.engines.models.decoders import Prompt
from rerank.engines.tokenisation.tokens import Tokens
from rerank.errors import EngineError
from rerank.wants import Labels, Likelihood, Logits, Message, Request

Spelt = tuple[Prompt, tuple[int, ...]]
"""The prompt, and the ids of its labels or of its continuation."""


class Spelling:
    def __init__(
        self, tokenizer: Any, template_options: dict[str, Any] | None, two_sided: bool
    ) -> None:
        self._tokenizer, self._two_sided = tokenizer, two_sided
        self._reading = Tokens(tokenizer, template_options)
        own_side = Tokens(_WithoutSpecial(tokenizer), starts=True)
        self._writing = own_side if two_sided else self._reading
        self.special, self.cut = self._reading.special, self._reading.cut

    def spell(self, request: Request) -> Spelt:
        """`EngineError` where the template refuses the prompt or a target is not its own tokens."""
        try:
            prompt = self._prompt(request)
            if not prompt.reads:
                raise EngineError("the prompt is empty")
            return prompt, self._target(request)
        except (TemplateError, ValueError, TypeError) as refusal:
            line = " ".join(str(refusal).split())
            raise EngineError(f"the tokenizer refuses the prompt: {line}") from refusal

    def _prompt(self, request: Request) -> Prompt:
        if not self._two_sided:
            return Prompt(tuple(self._reading.ids(request)))
        text = self._reading.text(replace(request, prefill=""))
        opens = self._writing.ids(self._own_side(request))
        return Prompt(tuple(self._tokenizer.encode(text)), tuple(opens))

    def _target(self, request: Request) -> tuple[int, ...]:
        own = self._own_side(request)
        if isinstance(request.want, Labels | Logits):
            return self._writing.label_ids(own)
        if not isinstance(request.want, Likelihood):
            return ()
        whole, start = self._writing.continued(own)
        return tuple(whole[start:])

    def _own_side(self, request: Request) -> Request:
        """What the model itself writes: all of it on the one side, or the prefill on the other."""
        if not self._two_sided:
            return request
        return replace(request, messages=(Message("user", ""),), chat=False)


class _WithoutSpecial:
    """What a decoder writes is spelled without the tokens that begin and end a prompt."""

    def __init__(self, tokenizer: Any) -> None:
        self.added_tokens_decoder = tokenizer.added_tokens_decoder
        self.all_special_tokens = tokenizer.all_special_tokens
        self._encode = tokenizer.encode

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return list(self._encode(text, add_special_tokens=False))
