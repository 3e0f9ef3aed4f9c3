"""Vectors of queries, from the encoder that an adapter was fitted with."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any


def query_vectors(encoder: str, queries: Sequence[str]) -> Any:
    """A row for each query."""
    model = _embedder(encoder)
    return model.encode([model.prompts[0] + query for query in queries])


@lru_cache(maxsize=2)
def _embedder(name: str) -> Any:
    from rerank.engines.models.embedders import Embedder

    return Embedder(name)
