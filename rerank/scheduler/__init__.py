"""Run many strategies over one judge, each as its answers arrive and within its budget."""

from rerank.scheduler.drive import Drive, Judge, drive
from rerank.scheduler.job import NO_LIMIT, Budget, Job

__all__ = ["NO_LIMIT", "Budget", "Drive", "Job", "Judge", "drive"]
