"""The measured part of a run's record, under the keys that the command line promises."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from core.measurement.accuracy import Accuracy, ClassAccuracy
from core.measurement.calibration import Calibration
from core.measurement.comparison import ClassChange, Drift, Flip, PairedAccuracy
from core.measurement.latency import Latency, LatencyComparison
from core.measurement.macs import Layer
from core.measurement.sentences import Sentence
from core.measurement.size import Bounds, Size
from core.measurement.sparse_speed import SparseSpeed
from core.measurement.statistics import Interval


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Measurement(_Record):
    """One model's numbers; ``accuracy`` is None where the images have no labels."""

    size: Size
    latency_ms: Latency
    accuracy: Accuracy | None
    peak_memory_bytes: int


class Comparison(_Record):
    """Baseline against compressed; ratios are baseline / compressed, above 1 is smaller or faster.

    Without labels ``top1_difference`` and ``mcnemar_p`` are None.
    """

    top1_difference: Interval | None
    mcnemar_p: float | None
    agreement: float
    latency_ratio: Interval
    size_ratio: float
    gzip_ratio: float


class Details(_Record):
    """What the pages and the report show beyond the record.

    ``confusions`` are (right class, answer, images) of the commonest mistakes; the lists that need
    labels are empty, and the models None, without them. Flips carry positions in the measured data.
    """

    drift: Drift
    paired: PairedAccuracy | None
    flips: list[Flip]
    class_changes: list[ClassChange]
    baseline_classes: list[ClassAccuracy]
    compressed_classes: list[ClassAccuracy]
    confusions: list[tuple[int, int, int]]
    baseline_calibration: Calibration | None
    compressed_calibration: Calibration | None
    latency: LatencyComparison
    bounds: Bounds
    layers: list[Layer]
    sparse_speed: SparseSpeed
    sentences: list[Sentence]


class Result(_Record):
    """Everything ``measure`` finds."""

    baseline: Measurement
    compressed: Measurement
    comparison: Comparison
    details: Details
