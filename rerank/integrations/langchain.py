"""For LangChain: a document compressor. It needs langchain-core, and nothing else of LangChain."""

from collections.abc import Sequence
from typing import Any

from rerank.errors import needing
from rerank.library.ranking import Ranking
from rerank.library.reranker import Reranker

with needing("langchain"):
    from langchain_core.documents import BaseDocumentCompressor, Document
    from pydantic import ConfigDict


class RerankCompressor(BaseDocumentCompressor):
    """Puts retrieved documents in order and keeps the best `top_n`.

    What comes back are copies: the id is kept, and so is the metadata, with the model's score as
    `relevance_score` beside it where there is one.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    reranker: Reranker
    top_n: int | None = 3

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        return _scored(self.reranker.rerank(query, list(documents), self.top_n))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        return _scored(await self.reranker.arerank(query, list(documents), self.top_n))


def _scored(ranking: Ranking) -> list[Document]:
    copies = []
    for hit in ranking:
        score = {} if hit.score is None else {"relevance_score": hit.score}
        metadata = {**hit.document.metadata, **score}
        copies.append(hit.document.model_copy(update={"metadata": metadata}))
    return copies
