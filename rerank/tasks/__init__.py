"""What a recipe ranks: its datasets with what the first stage found, read or searched for."""

from rerank.tasks.loading import Task, load_tasks, measures_of, method_of, row_of, suite_of

__all__ = ["Task", "load_tasks", "measures_of", "method_of", "row_of", "suite_of"]
