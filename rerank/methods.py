"""Every method of the literature that ships, as a row: strategy, options, prompt and paper.

A method is never a class of its own. A recipe names a row and may change any part of it. The
formulas are for N candidates, k wanted, w = window, s = stride, c = children, before the memo;
`rerank run --dry-run` plays them with the numbers of a recipe.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Method:
    """A named row: how to ask (`strategy`, `options`), in what words (`prompt`), and whose idea."""

    strategy: str
    prompt: str
    paper: str
    calls: str
    rounds: str
    options: dict[str, Any] = field(default_factory=dict)


_PRP = "Qin et al. 2023, arXiv:2306.17563"
_SETWISE = "Zhuang et al. 2024, arXiv:2310.09497"
_FIRST = "Reddy et al. 2024, arXiv:2406.15657"
_RANKGPT = "RankGPT: Sun et al. 2023, arXiv:2304.09542 (wording of RankZephyr, arXiv:2312.02724)"
_WINDOWS = "1 + ceil((N - w) / s), 1 if N <= w"
_ALLPAIRS = ("N (N - 1)", "1")
_SLIDING = ("2 sum(N - 1 - i, i < passes)", "half the calls")
_HEAP = ("about 2 x 256 at N = 100, k = 10", "about half the pairs")
_SETWISE_HEAP = ("about 30 at N = 100, k = 10, c = 9; 78 at c = 3", "about three quarters")
_SETWISE_BUBBLE = ("sum(ceil((N - 1 - i) / c), i < k)", "the calls")

METHODS: dict[str, Method] = {
    "first-stage": Method("first-stage", "", "no reranking", "0", "0"),
    "scorer": Method(
        "pointwise", "pointwise/score", "Nogueira & Cho 2019, arXiv:1901.04085", "N", "1"
    ),
    "yes-no": Method(
        "pointwise", "pointwise/yes-no", "Liang et al. 2022, arXiv:2211.09110", "N", "1"
    ),
    "prp-allpairs": Method("prp-allpairs", "pairwise/prp", _PRP, *_ALLPAIRS),
    "prp-heapsort": Method("prp-heapsort", "pairwise/prp", _PRP, *_HEAP),
    "prp-sliding": Method("prp-sliding", "pairwise/prp", _PRP, *_SLIDING),
    "prp-allpairs-labels": Method(
        "prp-allpairs", "pairwise/prp-labels", _PRP, *_ALLPAIRS, {"debias": "mean"}
    ),
    "prp-heapsort-labels": Method(
        "prp-heapsort", "pairwise/prp-labels", _PRP, *_HEAP, {"debias": "mean"}
    ),
    "prp-sliding-labels": Method(
        "prp-sliding", "pairwise/prp-labels", _PRP, *_SLIDING, {"debias": "mean"}
    ),
    "setwise-heapsort": Method("setwise-heapsort", "setwise/setwise", _SETWISE, *_SETWISE_HEAP),
    "setwise-bubblesort": Method(
        "setwise-bubblesort", "setwise/setwise", _SETWISE, *_SETWISE_BUBBLE
    ),
    "setwise-heapsort-labels": Method(
        "setwise-heapsort", "setwise/setwise-labels", _SETWISE, *_SETWISE_HEAP
    ),
    "setwise-bubblesort-labels": Method(
        "setwise-bubblesort", "setwise/setwise-labels", _SETWISE, *_SETWISE_BUBBLE
    ),
    "listwise": Method("sliding-window", "listwise/rank-zephyr", _RANKGPT, _WINDOWS, _WINDOWS),
    "first": Method("sliding-window", "listwise/first", _FIRST, _WINDOWS, _WINDOWS),
    "first-letters": Method("sliding-window", "listwise/letters", _FIRST, _WINDOWS, _WINDOWS),
    "full-ranking": Method(
        "full-ranking", "listwise/rank-zephyr", "Liu et al. 2024, arXiv:2412.14574", "1", "1"
    ),
}
