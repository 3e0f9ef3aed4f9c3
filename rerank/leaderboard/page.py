"""Boards and views as one HTML file that needs no network, no server and no build.

Law: documents, queries, replies and names are strangers' texts. They enter the page as JSON in a
block that no browser runs, with every character escaped that could end it, and the page's script
puts them into text nodes only; its Content-Security-Policy lets nothing run but that one script,
by its hash, and loads nothing from anywhere. Same boards in, same bytes out, under `LIMIT` bytes:
passages get shorter and then queries fewer until it is.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any, NamedTuple

from rerank.errors import InputError
from rerank.leaderboard.board import SHOWN, Board, Entry, spent
from rerank.leaderboard.view import Exchange, Listed, View

SCRIPTS = ("parts.js", "table.js", "plots.js", "query.js", "page.js")
LIMIT = 2_900_000
ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


class Size(NamedTuple):
    """How much of a view is shown: queries, characters of a passage and of a reply."""

    queries: int
    passage: int
    reply: int


SIZES = (
    Size(SHOWN, 320, 600),
    Size(SHOWN, 160, 300),
    Size(SHOWN, 80, 120),
    Size(100, 160, 200),
    Size(50, 120, 120),
    Size(20, 80, 80),
    Size(5, 40, 40),
    Size(0, 0, 0),
)


def page(boards: Sequence[Board], views: Mapping[str, Sequence[View]]) -> str:
    """The page of boards; `views` are by a board's title."""
    for size in SIZES:
        shown = [_board(board, views.get(board.title, ()), size) for board in boards]
        text = _assembled(json.dumps(shown, ensure_ascii=False, separators=(",", ":")))
        if len(text.encode()) < LIMIT:
            return text
    raise InputError(f"the table alone is over {LIMIT:,} bytes: leave out runs or datasets")


def _assembled(content: str) -> str:
    """The page's parts put together; what is in `content` is text to it."""
    frame, style, script = _part("page.html"), _part("page.css"), "".join(map(_part, SCRIPTS))
    fields = {
        "policy": f"default-src 'none'; script-src '{_sha256(script)}';"
        f" style-src '{_sha256(style)}'; base-uri 'none'; form-action 'none'",
        "style": style,
        "script": script,
        "content": content.translate(ESCAPES),
    }
    parts = frame.split("%%")  # text, name, text, name, ...
    return "".join(fields[part] if odd % 2 else part for odd, part in enumerate(parts))


def _part(name: str) -> str:
    return (files("rerank.leaderboard") / "web" / name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _board(board: Board, views: Sequence[View], size: Size) -> dict[str, Any]:
    place = {entry.key: number for number, entry in enumerate(board.entries)}
    found = board.found
    return {
        "title": board.title,
        "measure": board.measure,
        "measures": board.measures,
        "datasets": [
            {"name": name, "queries": queries, "sha256": board.judged[name], **_seen(board, name)}
            for name, queries in board.datasets.items()
        ],
        "runs": [_run(board, entry) for entry in board.entries],
        "baseline": place[board.baseline],
        "fronts": {cost: [place[key] for key in front] for cost, front in board.fronts.items()},
        "kemeny": found.optima["kemeny-two-level"]._asdict(),
        "samples": found.samples,
        "seed": found.seed,
        "views": [_view(board, view, place, size) for view in views] if size.queries else [],
    }


def _seen(board: Board, name: str) -> dict[str, Any]:
    found = board.comparisons.get(name)
    return {"detectable": _short(found.detectable)} if found else {}


def _run(board: Board, entry: Entry) -> dict[str, Any]:
    key, found = entry.key, board.found
    single = [board.single[name].get(key) for name in board.datasets]
    about = {
        "name": entry.name,
        "about": entry.about,
        "link": entry.link,
        "notes": entry.notes,
        "remarks": entry.remarks,
        "ceiling": entry.ceiling,
        "single": [None if value is None else _short(value) for value in single],
        "cost": _cost(entry),
    }
    if key not in board.means:
        return {**about, "lacks": board.incomplete[key]}
    return {
        **about,
        "means": [_short(board.means[key][measure]) for measure in board.measures],
        "interval": [_short(end) for end in found.intervals[key]],
        "group": board.groups.get(key, ""),
        "ranks": {
            way: list(found.ranks[f"{way}{level}"][key])
            for way, level in (("mean", ""), ("borda", "-two-level"), ("kemeny", "-two-level"))
        },
        "against": _against(board, key),
    }


def _against(board: Board, key: str) -> list[dict[str, Any] | None]:
    """What a run has over the baseline, dataset by dataset."""
    found = [board.comparisons.get(name) for name in board.datasets]
    differences = [comparison and comparison.differences.get(key) for comparison in found]
    return [
        {k: _short(v) for k, v in asdict(d).items() if k != "moved"} if d else None
        for d in differences
    ]


def _cost(entry: Entry) -> dict[str, Any] | None:
    if entry.cost is None:
        return None
    kept = ("calls", "rounds", "prompt_tokens", "completion_tokens", "answers", "queries")
    paid = {cost: spent(entry, cost) for cost in ("tokens", "seconds")}
    return {**{key: entry.cost[key] for key in kept}, **paid}


def _view(board: Board, view: View, place: Mapping[str, int], size: Size) -> dict[str, Any]:
    entries = [entry for entry in board.entries if view.dataset in entry.values]
    values = {e.key: e.values[view.dataset][board.measure] for e in entries}
    asked = sorted(board.telling[view.dataset][: size.queries])
    number = _Numbers()
    lists = [
        {"run": place[key], "tops": _tops(listed, asked, number)}
        for key, listed in view.lists.items()
        if key in values
    ]
    firsts = [
        {"name": name, "tops": _tops(listed, asked, number)} for name, listed in view.first.items()
    ]
    replies = {
        str(place[key]): _replies(found, asked, number, size)
        for key, found in view.replies.items()
        if key in values
    }
    return {
        "dataset": view.dataset,
        "all": board.datasets[view.dataset],
        "lacks": view.lacks,
        "queries": [
            {
                "id": query,
                "text": _cut(view.queries.get(query, ""), 400),
                "judged": _judged(view.qrels.get(query, {})),
                "grades": _grades(view.qrels.get(query, {}), number),
            }
            for query in asked
        ],
        "values": {
            str(place[k]): [_short(v.get(q, 0.0), 5) for q in asked] for k, v in values.items()
        },
        "lists": lists,
        "firsts": firsts,
        "replies": replies,
        "docs": [[doc, _cut(view.docs.get(doc, ""), size.passage)] for doc in number.seen],
    }


class _Numbers:
    """A number for each document that is shown, in the order in which they come up."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def of(self, doc: str) -> int:
        return self.seen.setdefault(doc, len(self.seen))


def _tops(listed: Listed, asked: Sequence[str], number: _Numbers) -> list[list[int]]:
    return [[number.of(doc) for doc in listed.get(query, ())] for query in asked]


def _judged(grades: Mapping[str, int]) -> list[list[int]]:
    """How many documents have each grade, the highest first."""
    every = list(grades.values())
    return [[grade, every.count(grade)] for grade in sorted({*every}, reverse=True)]


def _grades(grades: Mapping[str, int], number: _Numbers) -> dict[str, int]:
    """The grades of documents that are shown, by their numbers."""
    return {str(number.seen[doc]): grades[doc] for doc in number.seen if doc in grades}


def _replies(
    found: Mapping[str, Sequence[Exchange]], asked: Sequence[str], number: _Numbers, size: Size
) -> list[list[Any]]:
    return [
        [
            [
                [number.of(doc) for doc in exchange.docs],
                _cut(exchange.text, size.reply),
                [_short(score, 5) for score in exchange.scores],
                exchange.status,
            ]
            for exchange in found.get(query, ())
        ]
        for query in asked
    ]


def _short(value: Any, digits: int = 9) -> Any:
    """So many digits that four of them round as those of the whole number do."""
    return round(value, digits) if isinstance(value, float) else value


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(0, length - 1)].rstrip() + "…"
