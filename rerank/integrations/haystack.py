"""For Haystack: a ranker. It needs haystack-ai.

Haystack loads pipelines from YAML only where a component's module begins with `haystack` or
`haystack_integrations`, so the wheel carries the class there, too, and that is its name.
"""

import asyncio
from dataclasses import replace
from typing import Any, Literal

from rerank.errors import needing
from rerank.library.ranking import Ranking
from rerank.library.reranker import Reranker

with needing("haystack"):
    from haystack import Document, component, default_from_dict, default_to_dict
    from haystack.utils import Secret, deserialize_secrets_inplace

SHIPPED_AS = "haystack_integrations.components.rankers.rerank"
KEY = Secret.from_env_var("OPENAI_API_KEY", strict=False)


@component
class RerankRanker:
    """Puts documents in order and keeps the best `top_k`.

    What comes back are copies with the model's score, or None where the method has none. The
    model is loaded by `warm_up`, or by the first run. `settings` are further arguments of
    `Reranker`, plain enough for YAML. With `on_error="keep"` documents whose query failed come
    back as they were.
    """

    __module__ = SHIPPED_AS

    def __init__(
        self,
        model: str,
        *,
        method: str = "auto",
        top_k: int | None = 10,
        base_url: str | None = None,
        api_key: Secret | None = KEY,
        on_error: Literal["raise", "keep"] = "raise",
        settings: dict[str, Any] | None = None,
    ) -> None:
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k is {top_k}; it must be 1 or more")
        self.model, self.method, self.top_k, self.base_url = model, method, top_k, base_url
        self.api_key, self.on_error, self.settings = api_key, on_error, settings or {}
        self._reranker: Reranker | None = None

    def warm_up(self) -> None:
        """Load the model, once."""
        self._reranker = self._reranker or Reranker(
            self.model,
            method=self.method,
            base_url=self.base_url,
            api_key=self.api_key.resolve_value() if self.api_key and self.base_url else None,
            on_error=self.on_error,
            **self.settings,
        )

    def close(self) -> None:
        """Let go of the model."""
        if self._reranker:
            self._reranker.close()
            self._reranker = None

    def to_dict(self) -> dict[str, Any]:
        return default_to_dict(
            self,
            model=self.model,
            method=self.method,
            top_k=self.top_k,
            base_url=self.base_url,
            api_key=self.api_key.to_dict() if self.api_key else None,
            on_error=self.on_error,
            settings=self.settings,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "RerankRanker":
        deserialize_secrets_inplace(data["init_parameters"], keys=["api_key"])
        return default_from_dict(cls, data)

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        return _scored(self._warm().rerank(query, _read(documents), self._wanted(top_k)), documents)

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        reranker = await asyncio.to_thread(self._warm)
        ranking = await reranker.arerank(query, _read(documents), self._wanted(top_k))
        return _scored(ranking, documents)

    def _warm(self) -> Reranker:
        self.warm_up()
        assert self._reranker
        return self._reranker

    def _wanted(self, top_k: int | None) -> int | None:
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k is {top_k}; it must be 1 or more")
        return top_k if top_k is not None else self.top_k


def _read(documents: list[Document]) -> list[str]:
    return [document.content or "" for document in documents]


def _scored(ranking: Ranking, documents: list[Document]) -> dict[str, list[Document]]:
    if ranking.error:
        return {"documents": [documents[hit.index] for hit in ranking]}
    return {"documents": [replace(documents[hit.index], score=hit.score) for hit in ranking]}
