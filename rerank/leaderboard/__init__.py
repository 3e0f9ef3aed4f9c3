"""Turn results into tables: the same results in, the same bytes out."""

from rerank.leaderboard.table import regenerate, render, summary, table

__all__ = ["regenerate", "render", "summary", "table"]
