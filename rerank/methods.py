"""Every method of the literature that ships, as a row: strategy, options, prompt and paper.

A method is never a class of its own. A recipe names a row and may change any part of it. The
formulas are for N candidates, k wanted, w = window, s = stride, c = children, before the memo;
`rerank run --dry-run` plays them with the numbers of a recipe.
"""

from dataclasses import dataclass, field
from typing import Any

from rerank.strategies.parts import Parts


@dataclass(frozen=True, slots=True)
class Method:
    """A named row: how to ask (`strategy`, `options`), in what words (`prompt`), and whose idea.

    `instruction` stands in for the prompt's own, where that has one. With `parts` documents are
    rated in parts.
    """

    strategy: str
    prompt: str
    paper: str
    calls: str
    rounds: str
    options: dict[str, Any] = field(default_factory=dict)
    instruction: str = ""
    parts: Parts | None = None


_PRP = "Qin et al. 2023, arXiv:2306.17563"
_SETWISE = "Zhuang et al. 2024, arXiv:2310.09497"
_FIRST = "Reddy et al. 2024, arXiv:2406.15657"
_RANKGPT = "RankGPT: Sun et al. 2023, arXiv:2304.09542 (wording of RankZephyr, arXiv:2312.02724)"
_ZEPHYR = "RankZephyr, progressively: Pradeep et al. 2023, arXiv:2312.02724"
_DUO = "Pradeep et al. 2021, arXiv:2101.05667"
_GRADES = "Zhuang et al. 2024, arXiv:2310.14122"
_UPR = "UPR: Sachan et al. 2022, arXiv:2204.07496"
_RANK_R1 = "Zhuang et al. 2025, arXiv:2503.06034"
_EACH = ("N", "1")
_THOUGHT = ("N, each a thought and then its scores", "1")
_SLIDES = ("1 + ceil((N - w) / s), 1 if N <= w", "the calls")
_ALLPAIRS = ("N (N - 1)", "1")
_SLIDING = ("2 sum(N - 1 - i, i < k)", "N + k - 2")
_HEAP = ("about 2 x 250 at N = 100, k = 10", "about a quarter of the pairs")
_SETWISE_HEAP = (
    "about 29 at N = 100, k = 10, c = 9; 75 at c = 3; 22 at c = 19",
    "about 21; 23 at c = 3; 18 at c = 19",
)
_SETWISE_BUBBLE = ("sum(ceil((N - 1 - i) / c), i < k)", "2 (k - 1) + ceil((N - k) / c)")
_PASSES = ("1 + ceil((N - w) / s) a pass, until one changes no place of the top k", "the calls")

METHODS: dict[str, Method] = {
    "first-stage": Method("first-stage", "", "no reranking", "0", "0"),
    "scorer": Method(
        "pointwise", "pointwise/score", "Nogueira & Cho 2019, arXiv:1901.04085", *_EACH
    ),
    "yes-no": Method(
        "pointwise", "pointwise/yes-no", "Liang et al. 2022, arXiv:2211.09110", *_EACH
    ),
    "grades": Method("pointwise", "pointwise/grades", _GRADES, *_EACH),
    "grades-peak": Method("pointwise", "pointwise/grades-peak", _GRADES, *_EACH),
    "graded-words": Method("pointwise", "pointwise/graded-words", _GRADES, *_EACH),
    "query-likelihood": Method("pointwise", "pointwise/query-likelihood", _UPR, *_EACH),
    "query-likelihood-raw": Method("pointwise", "pointwise/query-likelihood-raw", _UPR, *_EACH),
    "monot5": Method(
        "pointwise", "pointwise/monot5", "Nogueira et al. 2020, arXiv:2003.06713", *_EACH
    ),
    "rankllama": Method(
        "pointwise", "pointwise/rankllama", "Ma et al. 2023, arXiv:2310.08319", *_EACH
    ),
    "qwen3-reranker": Method(
        "pointwise", "pointwise/qwen3-reranker", "Zhang et al. 2025, arXiv:2506.05176", *_EACH
    ),
    "bge-reranker-gemma": Method(
        "pointwise", "pointwise/bge-reranker-gemma", "Li et al. 2023, arXiv:2312.15503", *_EACH
    ),
    "mxbai-rerank-v2": Method(
        "pointwise",
        "pointwise/mxbai-rerank-v2",
        "Mixedbread 2025, mixedbread-ai/mxbai-rerank",
        *_EACH,
    ),
    "rank1": Method(
        "pointwise", "pointwise/rank1", "Weller et al. 2025, arXiv:2502.18418", *_THOUGHT
    ),
    "tfrank": Method(
        "pointwise", "pointwise/tfrank", "Fan et al. 2025, arXiv:2508.09539", *_THOUGHT
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
    "duot5": Method("prp-allpairs", "pairwise/duot5", _DUO, *_ALLPAIRS, {"debias": "sum"}),
    "rank-r1": Method(
        "setwise-heapsort", "setwise/rank-r1", _RANK_R1, *_SETWISE_HEAP, {"children": 19}
    ),
    "rank-r1-v0.2": Method(
        "setwise-heapsort", "setwise/rank-r1-v0.2", _RANK_R1, *_SETWISE_HEAP, {"children": 9}
    ),
    "listwise": Method("sliding-window", "listwise/rank-zephyr", _RANKGPT, *_SLIDES),
    "rank-gpt": Method(
        "sliding-window",
        "listwise/rank-gpt",
        "RankGPT: Sun et al. 2023, arXiv:2304.09542",
        *_SLIDES,
    ),
    "progressive": Method(
        "sliding-window", "listwise/rank-zephyr", _ZEPHYR, *_PASSES, {"passes": 3}
    ),
    "rank-vicuna": Method(
        "sliding-window", "listwise/rank-zephyr", "Pradeep et al. 2023, arXiv:2309.15088", *_SLIDES
    ),
    "lrl": Method(
        "sliding-window", "listwise/lists", "LRL: Ma et al. 2023, arXiv:2305.02156", *_SLIDES
    ),
    "reason-rank": Method(
        "sliding-window", "listwise/reason-rank", "Liu et al. 2025, arXiv:2508.07050", *_SLIDES
    ),
    "rank-k": Method(
        "sliding-window", "listwise/rank-k", "Yang et al. 2025, arXiv:2505.14432", *_SLIDES
    ),
    "tdpart": Method(
        "top-down",
        "listwise/rank-zephyr",
        "Parry et al. 2024, arXiv:2405.14589",
        "1 + ceil((N - w) / (w - 1)) and mostly one more, 1 if N <= w",
        "2 or 3",
    ),
    "tourrank": Method(
        "tournament",
        "listwise/select",
        "Chen et al. 2024, arXiv:2406.11678",
        "13 a tournament at N = 100",
        "5",
    ),
    "jointrank": Method(
        "joint-blocks",
        "listwise/rank-zephyr",
        "Dedov 2025, arXiv:2506.22262",
        "ceil(N r / b), b = block, r = repeats",
        "1",
    ),
    "jointrank-winrate": Method(
        "joint-blocks",
        "listwise/rank-zephyr",
        "Dedov 2025, arXiv:2506.22262 (by win rate: for models that contradict themselves)",
        "ceil(N r / b), b = block, r = repeats",
        "1",
        {"aggregate": "winrate"},
    ),
    "grouprank": Method(
        "joint-blocks",
        "listwise/rate-together",
        "Sun et al. 2025, arXiv:2511.11653 (its ratings as orders)",
        "ceil(N r / b), b = block, r = repeats",
        "1",
        {"repeats": 6, "aggregate": "borda"},
    ),
    "acurank": Method(
        "uncertain",
        "listwise/rank-zephyr",
        "Yoon et al. 2025, arXiv:2505.18512",
        "ceil(N / w) + 1 to 20",
        "2 to 16",
    ),
    "active": Method(
        "active",
        "listwise/rank-zephyr",
        "this project",
        "about 5 at N = 100, 20 at most",
        "the calls",
    ),
    "self-consistency": Method(
        "self-consistency",
        "listwise/rank-zephyr",
        "Tang et al. 2023, arXiv:2310.07712",
        "times as many as the strategy's",
        "the strategy's",
    ),
    "gar": Method(
        "adaptive-rating",
        "pointwise/yes-no",
        "MacAvaney et al. 2022, arXiv:2208.08942",
        "depth, which is N if not given",
        "ceil(depth / batch), 1 without neighbours",
    ),
    "slidegar": Method(
        "adaptive-window",
        "listwise/rank-zephyr",
        "Rathee et al. 2025, arXiv:2501.09186",
        "1 + ceil((depth - w) / step)",
        "the calls",
    ),
    "first": Method("sliding-window", "listwise/first", _FIRST, *_SLIDES),
    "first-letters": Method("sliding-window", "listwise/letters", _FIRST, *_SLIDES),
    "boxed-decoder": Method("sliding-window", "listwise/boxed", "this project", *_SLIDES),
    "full-ranking": Method(
        "full-ranking", "listwise/rank-zephyr", "Liu et al. 2024, arXiv:2412.14574", "1", "1"
    ),
}
