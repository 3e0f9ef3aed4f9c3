"""Turn results into tables: the same results in, the same bytes out."""

from rerank.leaderboard.table import regenerate, render, table

__all__ = ["regenerate", "render", "table"]
