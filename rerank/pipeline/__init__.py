"""From a recipe to a run folder, what that will take, and whether a folder says the truth."""

from rerank.pipeline.running import Progress, check, expected, judging, plan, rerank_task, run

__all__ = ["Progress", "check", "expected", "judging", "plan", "rerank_task", "run"]
