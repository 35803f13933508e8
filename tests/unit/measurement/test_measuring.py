"""The whole measurement on real files, under the keys that the command line promises."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from core.measurement.comparison import PairedAccuracy, paired_accuracy
from core.measurement.latency import Latency, LatencyComparison
from core.measurement.measuring import measure, predict
from core.measurement.records import Result
from core.measurement.sentences import on_accuracy, on_latency, on_nothing, on_size
from core.measurement.size import bounds, measure_size
from core.measurement.statistics import Interval
from core.measurement.tflite_file import read_tflite
from core.settings import ROOT


@pytest.fixture(scope="module")
def targets(reference: dict[str, np.ndarray]) -> np.ndarray:
    """Labels of which the model gets some wrong."""
    right = reference["probabilities"].argmax(axis=1).astype(np.int64)
    right[::5] = (right[::5] + 1) % 5
    return right


@pytest.fixture(scope="module")
def result(forms: Path, reference: dict[str, np.ndarray], targets: np.ndarray) -> Result:
    def batches() -> Iterator[np.ndarray]:
        yield from np.split(reference["images"], 4)

    return measure(forms / "float.tflite", forms / "int8.tflite", batches, targets,
                   latency_budget_s=0.3)


def test_predictions_are_those_of_keras(forms: Path, reference: dict[str, np.ndarray]) -> None:
    found = predict(forms / "float.tflite", [reference["images"]])
    assert np.abs(found - reference["probabilities"]).max() < 1e-5


def test_the_record_has_the_promised_keys(result: Result) -> None:
    record = result.model_dump(mode="json", include={"baseline", "compressed", "comparison"})
    for side in ("baseline", "compressed"):
        assert set(record[side]) == {"size", "latency_ms", "accuracy", "peak_memory_bytes"}
        assert set(record[side]["size"]) == {
            "tflite_bytes", "gzip_bytes", "zstd_bytes", "parameters", "nonzero_parameters", "macs"}
        assert set(record[side]["latency_ms"]) == {"p50", "p95", "n", "threads"}
        assert set(record[side]["accuracy"]) == {"n", "top1", "top5", "ece"}
        assert set(record[side]["accuracy"]["top1"]) == {"value", "low", "high"}
    assert set(record["comparison"]) == {
        "top1_difference", "mcnemar_p", "agreement", "latency_ratio", "size_ratio", "gzip_ratio"}


def test_the_numbers_agree_with_each_other(result: Result, targets: np.ndarray) -> None:
    base, small = result.baseline.accuracy, result.compressed.accuracy
    assert base is not None
    assert small is not None
    assert base.top1.value == pytest.approx(0.8)
    assert result.comparison.top1_difference is not None
    assert result.comparison.top1_difference.value == pytest.approx(
        small.top1.value - base.top1.value)
    assert result.comparison.size_ratio > 1.3
    assert result.comparison.agreement == pytest.approx(1 - len(result.details.flips) / 40)
    assert sum(row.n for row in result.details.compressed_classes) == len(targets)
    assert result.baseline.size.macs == result.compressed.size.macs
    assert Result.model_validate_json(result.model_dump_json()) == result


def test_without_labels_agreement_takes_the_place_of_accuracy(
    forms: Path, reference: dict[str, np.ndarray]
) -> None:
    fractions: list[float] = []
    found = measure(
        forms / "float.tflite", forms / "float16.tflite", lambda: [reference["images"]],
        latency_budget_s=0.2, baseline_probabilities=reference["probabilities"],
        progress=fractions.append)
    assert found.baseline.accuracy is None
    assert found.comparison.top1_difference is None
    assert found.comparison.agreement > 0.9
    assert found.details.drift.kl < 1e-3
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_no_image_is_an_input_error(forms: Path) -> None:
    with pytest.raises(InputError, match="no image"):
        predict(forms / "float.tflite", [])


def test_measuring_needs_no_tensorflow() -> None:
    code = ("import sys, core.measurement.measuring; "
            "print([m for m in ('tensorflow', 'tf_keras', 'streamlit') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def changed(lost: int, won: int, n: int = 250) -> PairedAccuracy:
    before, after = np.tile([0.2, 0.8], (n, 1)), np.tile([0.2, 0.8], (n, 1))
    after[:lost] = [0.8, 0.2]
    before[lost:lost + won] = [0.8, 0.2]
    return paired_accuracy(before, after, np.ones(n, np.int64))


@pytest.mark.parametrize(
    ("lost", "won", "code"),
    [(0, 0, "accuracy-same"), (4, 4, "accuracy-same"), (8, 5, "accuracy-open"),
     (30, 2, "accuracy-lost"), (2, 30, "accuracy-won")],
)
def test_the_sentence_follows_the_statistics(lost: int, won: int, code: str) -> None:
    found = on_accuracy(changed(lost, won))
    assert found.code == code
    assert "250" in found.render(lambda text: text)


def test_an_open_difference_says_how_many_images_would_show_it() -> None:
    change = changed(8, 5)
    said = on_accuracy(change).render(lambda text: text)
    assert change.images_to_show_it == pytest.approx(2830, rel=0.02)
    assert said == ("The difference of 1.2 points is not distinguishable from zero on 250 images; "
                    "about 2,900 would show it.")
    assert "2 900" in on_accuracy(change).render(lambda t: t, "fr").replace("\u202f", " ")


def timed(value: float, verdict: str) -> LatencyComparison:
    one = Latency(p50=5, p95=6, n=20, threads=1)
    return LatencyComparison(
        baseline=one, compressed=one, ratio=Interval(value=value, low=value, high=value),
        verdict=verdict, noise_floor=0, rounds=10, stable=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdict", "start"),
    [("faster", "2.5 times faster"), ("slower", "2.5 times slower"),
     ("not distinguishable", "Not distinguishable")],
)
def test_the_latency_sentence(verdict: str, start: str) -> None:
    value = 0.4 if verdict == "slower" else 2.5
    found = timed(value, verdict)
    assert on_latency(found).render(lambda text: text).startswith(start)


def test_zeros_that_the_file_stores_are_called_out(forms: Path) -> None:
    path = forms / "float.tflite"
    size, possible = measure_size(path), bounds(read_tflite(path))
    assert [s.code for s in on_size(size, size, possible)] == ["size-ships", "size-zeros"]


def test_a_recipe_that_changed_nothing_is_told_so(forms: Path) -> None:
    size, small = measure_size(forms / "float.tflite"), measure_size(forms / "int8.tflite")
    same = timed(1, "not distinguishable")
    assert [s.code for s in on_nothing(1, size, size, same)] == ["nothing-changed"]
    assert on_nothing(0.99, size, size, same) == []
    assert on_nothing(1, size, small, same) == []
    assert on_nothing(1, size, size, timed(2, "faster")) == []
