"""What a run cost and what became of its replies, counted as queries finish."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from rerank.records import NO_USAGE, Doc, Query, Status, Usage
from rerank.scheduler import Job
from rerank.stopwatch import STAGES

TIMES = ("seconds", "stages", "queries_per_second", "tokens_per_second", "replayed")
"""What of a summary differs from one time to the next."""


@dataclass
class Account:
    """Totals over the queries of a dataset, or over several datasets."""

    questions: int = 0
    calls: int = 0
    slots: int = 0
    unasked: int = 0
    stopped: int = 0
    rounds: list[int] = field(default_factory=list)
    usage: Usage = NO_USAGE
    statuses: Counter[Status] = field(default_factory=Counter)
    truncated: int = 0
    cut: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    replayed: int = 0
    stages: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    neighbours: int = 0

    def count(self, job: Job[Query, list[Doc]]) -> None:
        """Count one finished query."""
        self.questions += job.questions
        self.calls += job.calls
        self.slots += job.slots
        self.unasked += job.unasked
        self.stopped += bool(job.unasked)
        self.rounds.append(job.rounds)
        self.usage += job.usage
        self.statuses += job.statuses
        self.truncated += job.truncated
        self.cut += job.cut
        if job.error:
            self.failed.append({"query": job.query.id, "error": job.error})

    def __add__(self, other: "Account") -> "Account":
        return Account(
            self.questions + other.questions,
            self.calls + other.calls,
            self.slots + other.slots,
            self.unasked + other.unasked,
            self.stopped + other.stopped,
            self.rounds + other.rounds,
            self.usage + other.usage,
            self.statuses + other.statuses,
            self.truncated + other.truncated,
            self.cut + other.cut,
            self.failed + other.failed,
            self.seconds + other.seconds,
            self.replayed + other.replayed,
            {name: self.stages[name] + other.stages[name] for name in STAGES},
            self.neighbours + other.neighbours,
        )

    def summary(self) -> dict[str, Any]:
        """As result.json has it: `rounds` is a query's mean, `memo` what was not asked twice.

        `unasked` is what was beyond the budget of the `stopped_queries`. Where the journal answered
        calls, `replayed`, the seconds are not what the run takes. `stages` are those of the
        stopwatch; what they lack of the seconds is the strategies' and the scheduler's.
        `neighbours` were ranked, and were no candidates.
        """
        tokens = self.usage.prompt_tokens + self.usage.completion_tokens
        return {
            "queries": len(self.rounds),
            "questions": self.questions,
            "calls": self.calls,
            "memo": self.questions - self.calls - self.unasked,
            "unasked": self.unasked,
            "stopped_queries": self.stopped,
            "replayed": self.replayed,
            "slots": self.slots,
            "neighbours": self.neighbours,
            "rounds": round(fmean(self.rounds), 2) if self.rounds else 0.0,
            "prompt_tokens": self.usage.prompt_tokens,
            "cached_tokens": self.usage.cached_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "answers": {status.value: self.statuses[status] for status in Status},
            "truncated_passages": self.truncated,
            "words_cut": self.cut,
            "failed_queries": sorted(self.failed, key=lambda failed: failed["query"]),
            "seconds": round(self.seconds, 6),
            "stages": {name: round(spent, 3) for name, spent in self.stages.items()},
            "queries_per_second": round(len(self.rounds) / self.seconds, 3) if self.seconds else 0,
            "tokens_per_second": round(tokens / self.seconds, 1) if self.seconds else 0,
        }
