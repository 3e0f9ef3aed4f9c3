"""Turn results into tables and pages: the same results in, the same bytes out."""

from rerank.leaderboard.board import Board, Entry, board
from rerank.leaderboard.folders import read_folders
from rerank.leaderboard.page import page
from rerank.leaderboard.report import report
from rerank.leaderboard.table import summary, table
from rerank.leaderboard.view import Exchange, View

__all__ = [
    "Board",
    "Entry",
    "Exchange",
    "View",
    "board",
    "page",
    "read_folders",
    "report",
    "summary",
    "table",
]
