"""The names of measures, as ranx (`map@100-l2`) and ir_measures (`AP(rel=2)@100`) write them.

Law: a measure has one name in every table, whichever way it was asked for, and a name that means
something else elsewhere is refused. This module computes nothing.
"""

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import NamedTuple

from rerank.errors import UsageError

_KINDS = {
    "ndcg": "ndcg",
    "ndcg_burges": "ndcg_burges",
    "map": "map",
    "ap": "map",
    "mrr": "mrr",
    "rr": "mrr",
    "recall": "recall",
    "r": "recall",
    "precision": "precision",
    "p": "precision",
    "r-precision": "r-precision",
    "rprec": "r-precision",
    "bpref": "bpref",
    "judged": "judged",
    "rbp": "rbp",
    "err": "err",
    "success": "success",
    "hit_rate": "success",
    "last_rel": "last_rel",
    "wss": "wss",
}
_CUT = {"precision", "judged", "success", "wss"}  # have no meaning without a cutoff,
_WHOLE = {"r-precision", "bpref", "last_rel"}  # or with one
_GRADED = {"ndcg", "ndcg_burges", "err", "judged"}  # take every grade
_FULL = {"bpref", "judged", "last_rel", "wss"}  # cannot leave unjudged documents out
_NAME = re.compile(
    r"(?P<kind>r-precision|[a-z_]+)(?P<p>\.\d+)?(?:\((?P<settings>[^()]*)\))?"
    r"(?:@(?P<cutoff>[1-9]\d*)(?P<share>%?))?(?:-l(?P<level>[1-9]\d*))?(?P<condensed>-condensed)?"
)
_SETTING = re.compile(
    r"rel=(?P<rel>[1-9]\d*)|p=(?P<p>0?\.\d+)|(?P<judged>judged_only=true)|dcg='(?P<dcg>exp-)?log2'"
)


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure over the first `cutoff` documents; a grade of `level` or more is relevant.

    The cutoff of `wss` is the recall in percent, that of `recall%` the share of the list in
    percent. `persistence` is RBP's p. `condensed` leaves out documents without a judgment.
    """

    kind: str
    cutoff: int | None = None
    level: int = 1
    persistence: float = 0.0
    condensed: bool = False

    @property
    def less_is_better(self) -> bool:
        return self.kind == "last_rel"

    def __str__(self) -> str:
        kind, share = self.kind.rstrip("%"), "%" if self.kind.endswith("%") else ""
        persistence = f"{self.persistence:g}"[1:] if self.persistence else ""
        cutoff = f"@{self.cutoff}{share}" if self.cutoff else ""
        level = f"-l{self.level}" if self.level > 1 else ""
        return f"{kind}{persistence}{cutoff}{level}{'-condensed' if self.condensed else ''}"


class _Settings(NamedTuple):
    """What ir_measures writes in parentheses."""

    rel: str = ""
    p: str = ""
    judged: str = ""
    dcg: str = ""


def parse(name: str) -> Measure:
    """Read a measure's name as ranx (`map@100-l2`) or ir_measures (`AP(rel=2)@100`) writes it.

    Names that neither has: `recall@10%` of the list, `wss@95`, `last_rel`, and `-condensed` for
    ir_measures' `judged_only=True`.
    """
    written = _NAME.fullmatch(name.lower())
    settings = _settings(written["settings"]) if written else None
    if written is None or settings is None or written["kind"] not in _KINDS:
        raise UsageError(_unknown(name))
    if (settings.rel and written["level"]) or (settings.p and written["p"]):
        raise UsageError(_unknown(name))
    kind = _KINDS[written["kind"]] + ("_burges" if settings.dcg else "") + (written["share"] or "")
    measure = Measure(
        kind,
        int(written["cutoff"]) if written["cutoff"] else None,
        int(settings.rel or written["level"] or 1),
        float(settings.p or written["p"] or 0),
        bool(settings.judged or written["condensed"]),
    )
    _check(name, measure)
    if kind == "rbp" and written["settings"] is not None and not settings.rel:
        raise UsageError(f"{name}: the gain of rbp is 0 or 1 here; write RBP(rel=1,p=...)")
    return measure


def at_level(name: str, level: int) -> Measure:
    """A measure by name, from `level` on where it takes no grades and names no level itself."""
    measure = parse(name)
    graded = measure.kind in _GRADED or measure.level > 1
    return measure if graded else replace(measure, level=level)


def _settings(text: str | None) -> _Settings | None:
    """None where one of them is unknown or there twice."""
    found: dict[str, str] = {}
    for part in filter(None, re.split(r",\s*", text or "")):
        if (setting := _SETTING.fullmatch(part)) is None:
            return None
        for key, value in setting.groupdict(default="").items():
            if value and key in found:
                return None
            found |= {key: value} if value else {}
    return _Settings(**found)


def _check(name: str, measure: Measure) -> None:
    """Refuse what the measure has no meaning with, or none without."""
    kind = measure.kind
    if kind.rstrip("%") not in _KINDS.values() or (kind.endswith("%") and kind != "recall%"):
        raise UsageError(_unknown(name))
    faults = {
        f"{kind} has no relevance level; write it without": measure.level > 1 and kind in _GRADED,
        f"{kind} needs a cutoff, as in {kind}@10": not measure.cutoff and kind in _CUT,
        f"{kind} has no cutoff; write it without": measure.cutoff and kind in _WHOLE,
        f"{kind} has no persistence; write it without": measure.persistence and kind != "rbp",
        f"{kind} needs a persistence, as in rbp.95": not measure.persistence and kind == "rbp",
        f"{kind} has no condensed form": measure.condensed and kind.removesuffix("%") in _FULL,
        "a share is 100% at most": (measure.cutoff or 0) > 100 and kind in ("wss", "recall%"),
    }
    for what, wrong in faults.items():
        if wrong:
            raise UsageError(f"{name}: {what}")


def _unknown(name: str) -> str:
    kinds = ", ".join(dict.fromkeys(_KINDS.values()))
    word = re.split(r"[^a-z_]", name.lower())[0].strip("_")
    near = get_close_matches(word, _KINDS, 1) or get_close_matches(word.split("_")[0], _KINDS, 1)
    cutoff = re.search(r"[@_.](\d+)", name)
    meant = Measure(_KINDS[near[0]], int(cutoff[1]) if cutoff else None) if near else None
    advice = f"did you mean {meant}? " if meant else ""
    return f"no measure called {name!r}; {advice}there are {kinds}, as in ndcg@10 or map@100-l2"
