"""Tables of `make bench`: what strategies and methods cost, and what the approximate ones find."""

from functools import partial

import pytest
from bench.report import record
from play import rehearse

from rerank.cost import expect
from rerank.methods import METHODS
from rerank.records import Doc, Query
from rerank.strategies import STRATEGIES
from rerank.strategies.votes import AGGREGATES

pytestmark = pytest.mark.slow

COSTS = {  # strategy: formulas for N = 100, k = 10; the range of calls, slots and rounds
    "first-stage": ("0", (0, 0), (0, 0), (0, 0)),
    "pointwise": ("N", (100, 100), (100, 100), (1, 1)),
    "prp-allpairs": ("N (N-1)", (9900, 9900), (19800, 19800), (1, 1)),
    "prp-heapsort": ("about 2 x 256", (470, 556), (940, 1112), (120, 160)),
    "prp-sliding": ("2 sum(N-1-i, i < k)", (1890, 1890), (3780, 3780), (108, 108)),
    "setwise-heapsort": ("about 30.2", (27, 33), (270, 330), (17, 26)),
    "setwise-bubblesort": ("sum(ceil((N-1-i) / 9), i < k)", (109, 109), (900, 1090), (28, 28)),
    "sliding-window": ("1 + ceil((N-20) / 10)", (9, 9), (180, 180), (9, 9)),
    "full-ranking": ("1", (1, 1), (100, 100), (1, 1)),
    "top-down": ("2 + ceil((N-20) / 19), less 1 at times", (6, 7), (105, 125), (2, 3)),
    "tournament": ("13, 185 slots, 5 rounds", (13, 13), (185, 185), (5, 5)),
    "joint-blocks": ("4 N / 20", (20, 20), (400, 400), (1, 1)),
    "uncertain": ("ceil(N / 20) + 1 .. 20", (7, 20), (120, 400), (2, 16)),
    "self-consistency": ("5 x sliding-window", (45, 45), (900, 900), (9, 9)),
    "adaptive-rating": ("N", (100, 100), (100, 100), (1, 1)),
    "adaptive-window": ("1 + ceil((N-20) / 10)", (9, 9), (180, 180), (9, 9)),
    "active": ("about 5, 20 at most", (4, 6), (80, 120), (4, 6)),
}

TOP_DOWN, BLOCKS = STRATEGIES["top-down"], STRATEGIES["joint-blocks"]
FOUND = {  # least recall at correlation 0, 0.5 and 0.8; of top-down in turn as algorithms.md 6.5
    "sliding-window": (STRATEGIES["sliding-window"], (1, 1, 1)),
    "top-down in turn": (partial(TOP_DOWN, parallel=False), (0.502, 0.927, 1)),
    "top-down in turn, buffer 40": (
        partial(TOP_DOWN, parallel=False, buffer=40),
        (0.902, 1, 1),
    ),
    "top-down": (TOP_DOWN, (0.502, 0.927, 1)),
    "top-down, buffer 40": (partial(TOP_DOWN, buffer=40), (0.902, 1, 1)),
    "tournament": (STRATEGIES["tournament"], (0.97, 0.98, 0.98)),
    "tournament x 10": (partial(STRATEGIES["tournament"], tournaments=10), (0.97, 0.98, 0.98)),
    "joint-blocks": (BLOCKS, (0.92, 0.92, 0.92)),
    "joint-blocks, win rate": (partial(BLOCKS, aggregate="winrate"), (0.88, 0.88, 0.88)),
    "joint-blocks, repeats 8": (partial(BLOCKS, repeats=8), (0.95, 0.95, 0.95)),
    "uncertain": (STRATEGIES["uncertain"], (0.95, 0.99, 0.99)),
    "uncertain, 9 calls": (partial(STRATEGIES["uncertain"], max_calls=9), (0.8, 0.92, 0.92)),
}


def test_strategies_cost_what_their_formulas_say():
    rows = []
    for name, strategy in STRATEGIES.items():
        formula, *ranges = COSTS[name]
        played = rehearse(strategy, lists=20)
        costs = (played.calls, played.slots, played.rounds)
        shown = dict(
            zip(("calls", "slots", "rounds"), (f"{cost:g}" for cost in costs), strict=True)
        )
        rows.append({"strategy": name, **shown, "calls by formula": formula})
        assert all(low <= cost <= high for cost, (low, high) in zip(costs, ranges, strict=True))
    note = "N = 100, k = 10, correlation 0.5, perfect judge, no memo, mean of 20 lists."
    record("What strategies cost", rows, note)


def test_methods_cost_what_the_table_says():
    docs = [Doc(str(place), f"word{place} " * 100) for place in range(100)]
    rows = []
    for name, row in METHODS.items():
        cost = expect(row, {Query("q", "what is asked here"): docs})
        asked = {"calls": cost.calls, "slots": cost.slots, "rounds": f"{cost.rounds:g}"}
        tokens = {"prompt tokens": cost.prompt_tokens, "new tokens": cost.completion_tokens}
        formulas = {"calls by formula": row.calls, "rounds by formula": row.rounds}
        rows.append({"method": name, **asked, **tokens, **formulas})
        assert (cost.prompt_tokens > 0) == (cost.calls > 0) == (name != "first-stage")
    note = "N = 100, k = 10, passages of 100 words, after the memo; new tokens are the most."
    record("What methods cost", rows, note)


def test_approximate_strategies_find_the_top_ten():
    """No worse than algorithms.md section 6.5 found the repaired partitioning to be."""
    rows = []
    for name, (strategy, floors) in FOUND.items():
        played = {f"correlation {c}": rehearse(strategy, c) for c in (0, 0.5, 0.8)}
        cells = {c: f"{p.recall:.3f} / {p.exact:.2f} / {p.calls:.2f}" for c, p in played.items()}
        rows.append({"strategy": name, **cells})
        found = [one.recall for one in played.values()]
        assert all(recall >= floor for recall, floor in zip(found, floors, strict=True)), name
    note = "Best ten found / all ten in order / calls; N = 100, perfect judge, mean of 200 lists."
    record("What approximate strategies find", rows, note)


def test_joint_blocks_count_better_by_win_rate_where_the_judge_errs():
    rows = []
    for aggregate in AGGREGATES:
        strategy = partial(BLOCKS, aggregate=aggregate)
        found = [rehearse(strategy, lists=100, error=error).recall for error in (0, 0.5, 1)]
        shown = dict(zip(("no error", "error 0.5", "error 1"), found, strict=True))
        rows.append({"aggregate": aggregate, **{key: f"{one:.3f}" for key, one in shown.items()}})
    note = "Best ten found; N = 100, correlation 0.5, errors in deviations of worth, 100 lists."
    record("How joint blocks count votes", rows, note)
    pagerank, winrate = (
        next(row for row in rows if row["aggregate"] == name) for name in ("pagerank", "winrate")
    )
    assert pagerank["no error"] > winrate["no error"]
    assert all(winrate[error] > pagerank[error] for error in ("error 0.5", "error 1"))
