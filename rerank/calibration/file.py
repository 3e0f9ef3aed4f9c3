"""A calibration as a file: what it was made for, the mapping, and how reliable it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pydantic

from rerank import files
from rerank.calibration.mappings import Adapter, Mapping
from rerank.calibration.reliability import Reliability
from rerank.calibration.vectors import query_vectors
from rerank.checking import first_mistake
from rerank.errors import InputError, UsageError
from rerank.files import Strict


class Calibration(Strict):
    """From the scores of one model and method to probabilities of being relevant."""

    rerank_calibration: Literal[1] = 1
    model: str
    method: str
    score_kind: str
    relevant: int
    judged: str
    mapping: Mapping
    reliability: Reliability

    def probabilities(self, query: str, scores: Sequence[float | None]) -> list[float | None]:
        """One for each score; None where there is no score."""
        vector = self._vector(query)
        return [
            None if score is None else self.mapping.probability(score, vector) for score in scores
        ]

    def save(self, path: Path | str) -> None:
        Path(path).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def _vector(self, query: str) -> list[float]:
        if not isinstance(self.mapping, Adapter):
            return []
        [vector] = query_vectors(self.mapping.encoder, [query])
        return list(map(float, vector))


def read_calibration(path: Path | str) -> Calibration:
    """A file that `save` wrote; `InputError` says what is wrong with any other."""
    try:
        return Calibration.model_validate_json(files.read_text(Path(path)))
    except pydantic.ValidationError as wrong:
        key, what = first_mistake(Calibration, wrong, "an object")
        place = f"key {key!r}: {what}" if key else what
        raise InputError.at(path, None, f"not a calibration ({place})") from None


def as_calibration(given: Calibration | Path | str | None) -> Calibration | None:
    """A calibration, or the one in a file."""
    return read_calibration(given) if isinstance(given, Path | str) else given


def calibration_for(
    found: Calibration | None, model: str, method: str, score_kind: str
) -> Calibration | None:
    """The calibration; `UsageError` where it was fitted to other scores."""
    if found is None:
        return None
    if (found.model, found.method, found.score_kind) != (model, method, score_kind):
        raise UsageError(
            f"this calibration is for the {found.score_kind} of {found.model} by method"
            f" {found.method}, not for the {score_kind} of {model} by {method}: fit one for it"
        )
    return found
