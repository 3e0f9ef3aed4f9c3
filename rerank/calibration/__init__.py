"""From scores to probabilities of being relevant, learnt from judgments, so that a cut can be made.

A score sorts one list; what it says of relevance depends on the model and on the query. Three
mappings are fitted: Platt's, isotonic, and one that depends on the query. They fit scores of
documents that were rated one by one; an order alone has nothing to map.
"""

from rerank.calibration.file import (
    Calibration,
    as_calibration,
    calibration_for,
    read_calibration,
)
from rerank.calibration.fitting import FITS, Judged, fit, judged
from rerank.calibration.keep import Keep, kept, refuse_keep
from rerank.calibration.reliability import Bin, Reliability, without_scores

__all__ = [
    "FITS",
    "Bin",
    "Calibration",
    "Judged",
    "Keep",
    "Reliability",
    "as_calibration",
    "calibration_for",
    "fit",
    "judged",
    "kept",
    "read_calibration",
    "refuse_keep",
    "without_scores",
]
