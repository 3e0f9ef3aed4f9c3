"""Score a run against relevance judgments: `evaluate(qrels, run, ["ndcg@10"])`."""

from rerank.evaluate.measures import Measure, Scores, canonical, evaluate, in_order, parse

__all__ = ["Measure", "Scores", "canonical", "evaluate", "in_order", "parse"]
