"""Measure a baseline and a compressed file on the same images: the record and its details."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from core.inference.interpreter import LiteRT
from core.measurement import sentences
from core.measurement.accuracy import accuracy, check, confusion, confusions, per_class
from core.measurement.calibration import Probabilities, Targets, calibrate
from core.measurement.comparison import class_changes, drift, flips, paired_accuracy
from core.measurement.latency import BUDGET_S, compare_latency
from core.measurement.macs import layers
from core.measurement.memory import peak_memory
from core.measurement.records import Comparison, Details, Measurement, Result
from core.measurement.size import bounds, measure_size
from core.measurement.sparse_speed import xnnpack_sparse
from core.measurement.tflite_file import read_tflite

Batches = Iterable[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]
Progress = Callable[[float], None]


def predict(path: Path, batches: Batches, threads: int = 1) -> Probabilities:
    """Return probabilities float32 [n, k] of the ``.tflite`` at ``path`` for prepared batches.

    Raises
    ------
    InputError, StorageError
        If there is no image, or the file is no image classifier or is damaged.
    """
    interpreter = LiteRT(path, threads)
    rows = [interpreter.run(batch) for batch in batches]
    found = np.concatenate(rows) if rows else np.zeros((0, interpreter.classes), np.float32)
    check(found)
    return found


def _silent(_: float) -> None:
    """Tell nobody."""


def measure(
    baseline: Path,
    compressed: Path,
    batches: Callable[[], Batches],
    targets: Targets | None = None,
    *,
    threads: int = 1,
    seed: int = 0,
    latency_budget_s: float = BUDGET_S,
    baseline_probabilities: Probabilities | None = None,
    compressed_probabilities: Probabilities | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure two ``.tflite`` files on the same images.

    Parameters
    ----------
    batches
        Called once for each model that answers; yields prepared float32 [b, h, w, c] in the order
        of ``targets``. The model's own preprocessing has been applied.
    targets
        int64 [n], or None where the images have no labels: then accuracy is None.
    threads
        LiteRT threads, for timing too.
    seed
        Of the interleaving, the bootstrap and the cross-fit; belongs in the run's record.
    baseline_probabilities, compressed_probabilities
        A model's answers on these images where they are known, to spare the work.
    progress
        Called with the fraction done.

    Raises
    ------
    InputError, StorageError
        If a file cannot be read or run, or there is no image, or targets do not fit.
    """
    tell = progress or _silent
    model = read_tflite(compressed)
    # zstd -19 of a large file takes as long as the predictions; both leave Python alone meanwhile.
    with ThreadPoolExecutor(1) as pool:
        sizes_of = pool.map(measure_size, (baseline, compressed))
        before = baseline_probabilities
        if before is None:
            before = predict(baseline, batches(), threads)
        tell(0.3)
        after = compressed_probabilities
        if after is None:
            after = predict(compressed, batches(), threads)
        tell(0.5)
        sizes = list(sizes_of)
    change = drift(before, after)
    paired = None if targets is None else paired_accuracy(before, after, targets)
    tell(0.6)
    timing = compare_latency(baseline, compressed, threads, seed, latency_budget_s)
    tell(0.9)
    possible = bounds(model)
    said = [] if paired is None else [sentences.on_accuracy(paired)]
    said += [sentences.on_latency(timing), *sentences.on_size(sizes[0], sizes[1], possible)]
    said += sentences.on_nothing(change.agreement, sizes[0], sizes[1], timing)
    result = Result(
        baseline=Measurement(
            size=sizes[0],
            latency_ms=timing.baseline,
            accuracy=None if targets is None else accuracy(before, targets),
            peak_memory_bytes=peak_memory(baseline, threads),
        ),
        compressed=Measurement(
            size=sizes[1],
            latency_ms=timing.compressed,
            accuracy=None if targets is None else accuracy(after, targets),
            peak_memory_bytes=peak_memory(compressed, threads),
        ),
        comparison=Comparison(
            top1_difference=None if paired is None else paired.difference,
            mcnemar_p=None if paired is None else paired.mcnemar_p,
            agreement=change.agreement,
            latency_ratio=timing.ratio,
            size_ratio=sizes[0].tflite_bytes / sizes[1].tflite_bytes,
            gzip_ratio=sizes[0].gzip_bytes / sizes[1].gzip_bytes,
        ),
        details=Details(
            drift=change,
            paired=paired,
            flips=flips(before, after, targets),
            class_changes=[] if targets is None else class_changes(before, after, targets),
            baseline_classes=[] if targets is None else per_class(before, targets),
            compressed_classes=[] if targets is None else per_class(after, targets),
            confusions=[] if targets is None else confusions(confusion(after, targets)),
            baseline_calibration=None if targets is None else calibrate(before, targets, seed),
            compressed_calibration=None if targets is None else calibrate(after, targets, seed),
            latency=timing,
            bounds=possible,
            layers=layers(model),
            sparse_speed=xnnpack_sparse(model),
            sentences=said,
        ),
    )
    tell(1.0)
    return result
