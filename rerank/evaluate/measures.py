"""What a run is worth: ranx's measures, read in trec_eval's order, over every query of the qrels.

Law: the values equal trec_eval's (9.0, with -c), whatever the ties, and nothing is left out of a
mean. ranx computes from arrays of document numbers in the canonical order, so it never sorts,
never sees a tie and never compiles. This module knows nothing of files, tables or significance.
"""

import re
import sys
import threading
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec, module_from_spec
from math import fsum, isfinite
from types import ModuleType
from typing import Any

from rerank.errors import InputError, UsageError, extra
from rerank.records import Qrels, Run

_KINDS = {
    "ndcg": "ndcg",
    "map": "map",
    "ap": "map",
    "mrr": "mrr",
    "rr": "mrr",
    "recall": "recall",
    "r": "recall",
    "precision": "precision",
    "p": "precision",
    "judged": "judged",
}
_NAME = re.compile(r"([a-z]+)(?:\(rel=([1-9]\d*)\))?(?:@([1-9]\d*))?(?:-l([1-9]\d*))?")
_ONE_AT_A_TIME = threading.Lock()  # a compiled ranx aborts the interpreter under threads


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure over the first `cutoff` documents; a grade of `level` or more is relevant."""

    kind: str
    cutoff: int | None = None
    level: int = 1

    def __str__(self) -> str:
        cutoff = f"@{self.cutoff}" if self.cutoff else ""
        return self.kind + cutoff + (f"-l{self.level}" if self.level > 1 else "")


@dataclass(frozen=True, slots=True)
class Scores:
    """Unrounded values by canonical measure name (`ndcg@10`), as means and query by query.

    `missing` are queries of the qrels that the run has no document for: they count, as 0.
    `unjudged` are queries of the run that the qrels lack: they do not count.
    """

    mean: dict[str, float]
    per_query: dict[str, dict[str, float]]
    missing: tuple[str, ...]
    unjudged: tuple[str, ...]


def parse(name: str) -> Measure:
    """Read a measure's name as ranx (`map@100-l2`) or ir_measures (`AP(rel=2)@100`) writes it.

    ndcg takes all grades and has no level: trec_eval ignores one, ranx would zero the gains below.
    """
    written = _NAME.fullmatch(name.lower())
    if written is None or written[1] not in _KINDS or (written[2] and written[4]):
        raise UsageError(_unknown(name))
    kind, cutoff, level = _KINDS[written[1]], written[3], int(written[2] or written[4] or 1)
    if level > 1 and kind in ("ndcg", "judged"):
        raise UsageError(f"{name}: {kind} has no relevance level; write it without")
    if not cutoff and kind in ("precision", "judged"):
        raise UsageError(f"{name}: {kind} needs a cutoff, as in {kind}@10")
    return Measure(kind, int(cutoff) if cutoff else None, level)


def _unknown(name: str) -> str:
    kinds = ", ".join(dict.fromkeys(_KINDS.values()))
    word = re.split(r"[^a-z_]", name.lower())[0].replace("_", "")
    near = get_close_matches(word, _KINDS, 1)
    cutoff = re.search(r"[@_.](\d+)", name)
    meant = Measure(_KINDS[near[0]], int(cutoff[1]) if cutoff else None) if near else None
    advice = f"did you mean {meant}? " if meant else ""
    return f"no measure called {name!r}; {advice}there are {kinds}, as in ndcg@10 or map@100-l2"


def canonical(run: Run) -> Run:
    """Order each query's documents as trec_eval does and score them n - rank + 1: no ties are left.

    trec_eval (9.0, and pytrec_eval) compares scores as 32-bit floats and breaks ties by document
    id, last in byte order first; code points of Python strings sort as their UTF-8 bytes do.
    A score that is not a finite number is an InputError.
    """
    return {query: _falling(query, scores) for query, scores in run.items()}


def in_order(run: Run) -> Run:
    """Score each query's documents n - rank + 1; equal scores keep the order of the run."""
    return {query: _ranked(scores) for query, scores in run.items()}


def _ranked(scores: Mapping[str, float]) -> dict[str, float]:
    best = sorted(scores, key=scores.__getitem__, reverse=True)
    return {doc: float(len(best) - place) for place, doc in enumerate(best)}


def _falling(query: str, scores: Mapping[str, float]) -> dict[str, float]:
    if not all(map(isfinite, scores.values())):
        doc = next(doc for doc, score in scores.items() if not isfinite(score))
        raise InputError(f"query {query}: document {doc} has no finite score: {scores[doc]}")
    order = sorted(zip(array("f", scores.values()), scores, strict=True), reverse=True)
    falling = map(float, range(len(order), 0, -1))
    return dict(zip((doc for _, doc in order), falling, strict=True))


def evaluate(qrels: Qrels, run: Run, measures: Sequence[str]) -> Scores:
    """Score every query of the qrels by each measure, as `trec_eval -c` does, and average.

    nDCG has linear gain. A query without a positive judgment scores 0 and counts. A negative grade
    is no judgment. `judged@k` is the share of k places that hold a judged document, so a list
    shorter than k loses by it as it does by precision@k. Scores and grades must be finite and
    whole numbers respectively, else InputError. Needs the extra `eval`; safe to call from threads.
    """
    asked = [parse(name) for name in measures]
    if not qrels:
        raise InputError("there are no relevance judgments to score against")
    judged, ranked = _numbered(qrels, canonical({q: run[q] for q in qrels if q in run}))
    per_query = {
        str(measure): dict(zip(qrels, _values(measure, judged, ranked), strict=True))
        for measure in asked
    }
    return Scores(
        mean={name: fsum(values.values()) / len(qrels) for name, values in per_query.items()},
        per_query=per_query,
        missing=tuple(query for query in qrels if not run.get(query)),
        unjudged=tuple(query for query in run if query not in qrels),
    )


def _numbered(qrels: Qrels, run: Run) -> tuple[Any, Any]:
    """What ranx reads, twice [query, place, (document number, value)], padded with -1.

    Judged documents are numbered by falling grade; in the ranked lists -1 is an unjudged one.
    """
    np = extra("numpy", "eval")
    judged = np.full((len(qrels), max(map(len, qrels.values())), 2), -1.0)
    ranked = np.full((len(qrels), max(map(len, run.values()), default=0), 2), -1.0)
    for row, query in enumerate(qrels):
        grades, scores = _judgments(query, qrels[query]), run.get(query, {})
        judged[row, : len(grades)].T[:] = range(len(grades)), list(grades.values())
        ranked[row, : len(scores), 1] = range(len(scores), 0, -1)
        for number, doc in enumerate(grades):
            if doc in scores:
                ranked[row, len(scores) - int(scores[doc]), 0] = number
    return judged, ranked


def _judgments(query: str, grades: Mapping[str, int]) -> dict[str, int]:
    if odd := [doc for doc, grade in grades.items() if grade % 1]:
        raise InputError(
            f"query {query}: the grade of {odd[0]} is no whole number: {grades[odd[0]]}"
        )
    given = [doc for doc, grade in grades.items() if grade >= 0]
    return {doc: grades[doc] for doc in sorted(given, key=grades.__getitem__, reverse=True)}


def _values(measure: Measure, judged: Any, ranked: Any) -> list[float]:
    cutoff = measure.cutoff or 0
    if measure.kind == "judged":
        values = (ranked[:, :cutoff, 0] >= 0).sum(axis=1) / cutoff
    else:
        with _ONE_AT_A_TIME:
            compute = _ranx().metric_switch(measure.kind)
            values = compute(judged, ranked, cutoff, measure.level)
    return list(values.tolist())


@cache
def _ranx() -> ModuleType:
    """Load ranx's measures uncompiled, and leave numba and `import ranx` as they were.

    Compiling takes 16 s to save 2 s on 25 runs. `import ranx` as a whole takes 2 s more, for
    pandas and matplotlib, and changes numba's threading for everyone; so its package stays
    unexecuted, and is taken away again. A ranx that the caller has imported is used as it is.
    """
    if (package := find_spec("ranx")) is None or "ranx" in sys.modules:
        return extra("ranx.metrics", "eval")
    numba = extra("numba", "eval")
    before, numba.config.DISABLE_JIT = numba.config.DISABLE_JIT, 1
    sys.modules["ranx"] = module_from_spec(package)
    try:
        return extra("ranx.metrics", "eval")
    finally:
        numba.config.DISABLE_JIT = before
        for name in [name for name in sys.modules if name.split(".")[0] == "ranx"]:
            del sys.modules[name]
