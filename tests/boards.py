"""Boards and views made by hand: runs whose values are known, and texts that would like to run."""

import random

from rerank.leaderboard import Entry, Exchange, View, board

HOSTILE = (
    '</script><script>document.title="hacked"</script>'
    "<img src=x onerror=\"document.title='hacked'\">"
)
COST = {
    "calls": 100,
    "rounds": 2.0,
    "prompt_tokens": 9000,
    "completion_tokens": 1000,
    "answers": {"ok": 97, "repaired": 2, "unreadable": 1, "failed": 0},
    "seconds": 12.5,
    "queries": 30,
    "replayed": 0,
}


def values(worth, queries=30, seed=0, measures=("ndcg@10", "map")):
    """Values around `worth` that are higher on the same queries for all runs."""
    chance = random.Random(seed)
    ease = [chance.uniform(-0.3, 0.3) for _ in range(queries)]
    own = random.Random(f"{worth} {seed}")
    found = [min(1.0, max(0.0, worth + e + own.gauss(0, 0.02))) for e in ease]
    return {m: {f"q{i:02}": v for i, v in enumerate(found)} for m in measures}


def entry(name, worth=0.5, datasets=("one",), calls=100, **more):
    given = {
        "values": {d: values(worth, seed=i) for i, d in enumerate(datasets)},
        "judged": dict.fromkeys(datasets, "a" * 64),
        "about": f"method of {name}",
        "cost": {**COST, "calls": calls, "prompt_tokens": calls * 90},
    }
    return Entry(name, name, **{**given, **more})


def entries():
    """A cheap first stage, a good run, a better and dearer one, and one that is beaten by both."""
    return [
        entry("bm25", 0.3, calls=0, first=True),
        entry("good", 0.5, calls=100),
        entry("beaten", 0.45, calls=900),
        entry("dear", 0.6, calls=5000),
    ]


def small_board():
    return board("small", entries(), ["ndcg@10", "map"])


def view(dataset="one", words="a passage"):
    """A view of `small_board`: the first stage's list and each run's own, with replies of one."""
    queries = [f"q{i:02}" for i in range(30)]
    docs = {f"d{i}": f"{words} number {i}" for i in range(8)}
    ids = list(docs)
    lists = {
        name: dict.fromkeys(queries, ids[turn:] + ids[:turn])
        for turn, name in enumerate(("bm25", "good", "beaten", "dear"))
    }
    heard = [
        Exchange(("d0", "d1"), f"[1] > [2] {words}", (), "ok"),
        Exchange(("d2",), "", (0.25, -1.5), "unreadable"),
    ]
    return View(
        dataset,
        {q: f"query {q} {words}" for q in queries},
        docs,
        {q: {"d0": 3, "d1": 0, "d2": 1, "gone": 2} for q in queries},
        lists,
        {"bm25 (first stage)": lists["bm25"]},
        {"dear": dict.fromkeys(queries, heard)},
    )
