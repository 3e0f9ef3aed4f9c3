"""Tables of `make bench`: what strategies and methods cost, and what the approximate ones find."""

from functools import partial

import pytest
from play import rehearse

from rerank.cost import expect
from rerank.methods import METHODS
from rerank.records import Doc, Query
from rerank.strategies import STRATEGIES

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
    print("\n\nN = 100, k = 10, correlation 0.5, perfect judge, mean of 20 lists")
    print(f"{'strategy':20}{'calls':>9}{'slots':>9}{'rounds':>8}  calls by formula")
    for name, strategy in STRATEGIES.items():
        formula, *ranges = COSTS[name]
        played = rehearse(strategy, lists=20)
        costs = (played.calls, played.slots, played.rounds)
        print(f"{name:20}{costs[0]:9.1f}{costs[1]:9.1f}{costs[2]:8.1f}  {formula}")
        assert all(low <= cost <= high for cost, (low, high) in zip(costs, ranges, strict=True))


def test_methods_cost_what_the_table_says():
    docs = [Doc(str(place), f"word{place} " * 100) for place in range(100)]
    print("\n\nN = 100, k = 10, passages of 100 words, after the memo")
    heads = f"{'calls':>8}{'slots':>8}{'rounds':>8}{'prompt':>10}{'new':>9}"
    print(f"{'method':26}{heads}  calls; rounds by formula")
    for name, row in METHODS.items():
        cost = expect(row, {Query("q", "what is asked here"): docs})
        figures = f"{cost.calls:8}{cost.slots:8}{cost.rounds:8.0f}"
        tokens = f"{cost.prompt_tokens:10}{cost.completion_tokens:9}"
        print(f"{name:26}{figures}{tokens}  {row.calls}; {row.rounds}")
        assert (cost.prompt_tokens > 0) == (cost.calls > 0) == (name != "first-stage")


def test_approximate_strategies_find_the_top_ten():
    """No worse than algorithms.md section 6.5 found the repaired partitioning to be."""
    print(
        "\n\nbest ten found | all ten in order | calls; N = 100, perfect judge, mean of 200 lists"
    )
    print(f"{'':30}" + "".join(f"{f'correlation {c}':>24}" for c in (0, 0.5, 0.8)))
    for name, (strategy, floors) in FOUND.items():
        rows = [rehearse(strategy, correlation) for correlation in (0, 0.5, 0.8)]
        cells = "".join(f"{f'{r.recall:.3f} | {r.exact:.2f} | {r.calls:.2f}':>24}" for r in rows)
        print(f"{name:30}{cells}")
        assert all(row.recall >= floor for row, floor in zip(rows, floors, strict=True)), name
