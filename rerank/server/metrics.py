"""What a server has done, counted, and printed as Prometheus reads it.

Labels are routes, status codes and kinds: nothing that a client could choose.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate

from rerank.records import Usage

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

COUNTERS = {
    "rerank_requests_total": "Requests answered, by route and status code.",
    "rerank_documents_total": "Documents that were ranked.",
    "rerank_calls_total": "Questions that the model was asked.",
    "rerank_tokens_total": "Tokens that the model read, had cached and wrote.",
    "rerank_answers_total": "Replies of the model, by what became of them.",
}


class Metrics:
    """Counts; only the thread of the event loop touches it."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in COUNTERS}
        self._times: dict[str, Counter[int]] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """One request, whatever its answer."""
        self._counts["rerank_requests_total"][f'{{route="{route}",status="{status}"}}'] += 1
        self._times.setdefault(route, Counter())[bisect_left(BUCKETS, seconds)] += 1
        self._seconds[route] += seconds

    def ranked(self, documents: int, calls: int, usage: Usage, answers: dict[str, int]) -> None:
        """One ranking, and what it took."""
        counts = self._counts
        counts["rerank_documents_total"][""] += documents
        counts["rerank_calls_total"][""] += calls
        for kind in ("prompt", "cached", "completion"):
            tokens = getattr(usage, f"{kind}_tokens")
            counts["rerank_tokens_total"][f'{{kind="{kind}"}}'] += tokens
        for status, count in answers.items():
            counts["rerank_answers_total"][f'{{status="{status}"}}'] += count

    def text(self, inside: int) -> str:
        """The page that Prometheus fetches; `inside` requests are being answered now."""
        lines = [*_head("rerank_requests_in_progress", "gauge", "Requests being answered.")]
        lines.append(f"rerank_requests_in_progress {inside}")
        for name, about in COUNTERS.items():
            lines += _head(name, "counter", about)
            lines += (f"{name}{labels} {n}" for labels, n in sorted(self._counts[name].items()))
        lines += _head("rerank_request_seconds", "histogram", "From the first byte to the answer.")
        for route, times in sorted(self._times.items()):
            lines += _histogram(route, times, self._seconds[route])
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, about: str) -> Iterable[str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {kind}"


def _histogram(route: str, times: Counter[int], seconds: float) -> Iterator[str]:
    name = "rerank_request_seconds"
    sums = accumulate(times[place] for place in range(len(BUCKETS) + 1))
    for most, count in zip((*map(str, BUCKETS), "+Inf"), sums, strict=True):
        yield f'{name}_bucket{{route="{route}",le="{most}"}} {count}'
    yield f'{name}_sum{{route="{route}"}} {seconds:.6f}'
    yield f'{name}_count{{route="{route}"}} {times.total()}'
