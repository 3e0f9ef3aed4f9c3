"""Rerank search results with a language model, and measure what it gained.

from rerank import Reranker

with Reranker("boxed") as reranker:
    for hit in reranker.rerank("why is the sky blue?", documents, top_n=3):
        print(hit.rank, hit.score, hit.document)
"""

from typing import TYPE_CHECKING, Any

from rerank.errors import EngineError, InputError, MissingExtra, RerankError, UsageError

if TYPE_CHECKING:
    from rerank.library.ranking import Hit, Issue, Ranking
    from rerank.library.reranker import Reranker

__version__ = "0.1.0"
__all__ = [
    "EngineError",
    "Hit",
    "InputError",
    "Issue",
    "MissingExtra",
    "Ranking",
    "RerankError",
    "Reranker",
    "UsageError",
]


def __getattr__(name: str) -> Any:
    """`Reranker` and what it returns, imported when first asked for."""
    if name in ("Hit", "Issue", "Ranking", "Reranker"):
        from rerank.library import reranker

        return getattr(reranker, name)
    raise AttributeError(f"module 'rerank' has no attribute {name!r}")
