"""Score a run against relevance judgments: `evaluate(qrels, run, ["ndcg@10"])`."""

from rerank.evaluate.measures import Measure, parse
from rerank.evaluate.scores import Scores, evaluate
from rerank.evaluate.ties import TieSpan, tie_spans

__all__ = ["Measure", "Scores", "TieSpan", "evaluate", "parse", "tie_spans"]
