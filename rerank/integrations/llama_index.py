"""For LlamaIndex: a node postprocessor. It needs llama-index-core."""

from typing import Any

from rerank.errors import needing
from rerank.library.ranking import Ranking
from rerank.library.reranker import Reranker

with needing("llama-index"):
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

DISPATCHER = get_dispatcher(__name__)


class RerankPostprocessor(BaseNodePostprocessor):
    """Puts retrieved nodes in order and keeps the best `top_n`.

    The model reads what an embedder would: the text with its metadata. Scores are the model's,
    or None. With `keep_retrieval_score`, copies of the nodes carry the old one in their metadata.
    """

    top_n: int | None = 3
    keep_retrieval_score: bool = False
    _reranker: Reranker = PrivateAttr()

    def __init__(self, reranker: Reranker, **fields: Any) -> None:
        super().__init__(**fields)
        self._reranker = reranker

    @classmethod
    def class_name(cls) -> str:
        return "RerankPostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query, texts = self._begun(nodes, query_bundle)
        return self._ended(self._reranker.rerank(query, texts, self.top_n), nodes)

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query, texts = self._begun(nodes, query_bundle)
        return self._ended(await self._reranker.arerank(query, texts, self.top_n), nodes)

    def _begun(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None
    ) -> tuple[str, list[str]]:
        if query_bundle is None:
            raise ValueError("a reranker needs the query: give query_bundle or query_str")
        DISPATCHER.event(
            ReRankStartEvent(
                query=query_bundle,
                nodes=nodes,
                top_n=self.top_n or len(nodes),
                model_name=self._reranker.model,
            )
        )
        texts = [node.node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
        return query_bundle.query_str, texts

    def _ended(self, ranking: Ranking, nodes: list[NodeWithScore]) -> list[NodeWithScore]:
        kept = [
            NodeWithScore(node=self._kept(nodes[hit.index]), score=hit.score) for hit in ranking
        ]
        DISPATCHER.event(ReRankEndEvent(nodes=kept))
        return kept

    def _kept(self, old: NodeWithScore) -> Any:
        if not self.keep_retrieval_score:
            return old.node
        metadata = {**old.node.metadata, "retrieval_score": old.score}
        return old.node.model_copy(update={"metadata": metadata})
