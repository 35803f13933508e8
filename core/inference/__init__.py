"""LiteRT: from prepared pixels to ranked classes, in milliseconds.

Here belong running a ``.tflite`` file, ranking what it says, timing it, finding where it looked,
and the service that answers one photo for one signed-in person. Nothing here writes to disk.
"""

from core.inference.classifier import Classifier, classifier
from core.inference.export import Outcome, rows, to_csv, to_json
from core.inference.occlusion import grid_for, occlusion_map, overlay
from core.inference.ranking import Prediction, rank
from core.inference.samples import Sample, samples
from core.inference.service import Answer, Classification, Explanation
from core.inference.timing import median_ms, timed_predict

__all__ = [
    "Answer", "Classification", "Classifier", "Explanation", "Outcome", "Prediction", "Sample",
    "classifier", "grid_for", "median_ms", "occlusion_map", "overlay", "rank", "rows", "samples",
    "timed_predict", "to_csv", "to_json",
]
