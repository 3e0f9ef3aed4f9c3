"""First stages: from a corpus and queries to a run of candidates."""

from rerank.retrieve.bm25 import BM25

__all__ = ["BM25"]
