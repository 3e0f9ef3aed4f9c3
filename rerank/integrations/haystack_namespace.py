"""What the wheel carries as `haystack_integrations.components.rankers.rerank`."""

from rerank.integrations.haystack import RerankRanker

__all__ = ["RerankRanker"]
