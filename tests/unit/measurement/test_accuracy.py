"""Scores, calibration and paired comparison on answers small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, log_loss, top_k_accuracy_score

from core.errors import InputError
from core.measurement import calibration
from core.measurement.accuracy import accuracy, confusion, confusions, per_class, ranks
from core.measurement.comparison import class_changes, drift, flips, paired_accuracy


def draw(n: int, k: int, seed: int = 0, sharpness: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are calibrated by construction: targets are drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, sharpness, size=(n, k))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    targets = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1).astype(np.int64)
    return p.astype(np.float32), targets


def one_hot(classes: list[int], k: int = 3, confidence: float = 0.8) -> np.ndarray:
    p = np.full((len(classes), k), (1 - confidence) / (k - 1), np.float32)
    p[np.arange(len(classes)), classes] = confidence
    return p


def test_scores_match_scikit_learn() -> None:
    p, targets = draw(400, 12)
    found = accuracy(p, targets)
    labels = np.arange(12)
    assert found.top1.value == pytest.approx(top_k_accuracy_score(targets, p, k=1, labels=labels))
    assert found.top5.value == pytest.approx(top_k_accuracy_score(targets, p, k=5, labels=labels))
    assert found.top1.low < found.top1.value < found.top1.high
    assert calibration.negative_log_likelihood(p, targets) == pytest.approx(
        log_loss(targets, p / p.sum(axis=1, keepdims=True, dtype=np.float64), labels=labels),
        rel=1e-5)
    matrix = confusion(p, targets)
    assert np.array_equal(matrix, confusion_matrix(targets, p.argmax(axis=1), labels=labels))
    right, answer, images = confusions(matrix, limit=1)[0]
    assert right != answer
    assert images == (matrix - np.diag(np.diag(matrix))).max()


def test_ties_go_to_the_lower_index_as_argmax_has_it() -> None:
    p = np.full((3, 3), 1 / 3, np.float32)
    assert ranks(p, np.array([0, 1, 2])).tolist() == [0, 1, 2]


def test_per_class_counts() -> None:
    rows = per_class(one_hot([0, 0, 1, 1]), np.array([0, 0, 0, 1]))
    assert [(r.index, r.n, r.recall.value, r.predicted) for r in rows] == [
        (0, 3, pytest.approx(2 / 3), 2), (1, 1, 1.0, 2)]


@pytest.mark.parametrize(
    ("p", "targets"),
    [
        (np.zeros((0, 3), np.float32), np.zeros(0, np.int64)),
        (np.full((2, 3), np.nan, np.float32), np.zeros(2, np.int64)),
        (np.ones((2, 3), np.float32), np.array([0, 3])),
        (np.ones((2, 3), np.float32), np.array([0])),
    ],
)
def test_what_cannot_be_scored_is_refused(p: np.ndarray, targets: np.ndarray) -> None:
    with pytest.raises(InputError):
        accuracy(p, targets)


def test_calibration_error_by_hand() -> None:
    # Two bins of two images: confidence 0.9 and half right; confidence 0.6 and all right.
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]], np.float32)
    targets = np.array([0, 1, 0, 0])
    assert calibration.expected_calibration_error(p, targets) == pytest.approx(0.4)
    assert [b.n for b in calibration.reliability(p, targets)] == [2, 2]


def test_calibrated_answers_have_a_small_error_and_temperature_one() -> None:
    p, targets = draw(4000, 5)
    found = calibration.calibrate(p, targets)
    assert found.ece < 0.03
    assert found.temperature == pytest.approx(1, abs=0.08)
    assert sum(b.n for b in found.reliability) == 4000


@pytest.mark.parametrize("sharpened", [0.4, 2.5])
def test_a_wrong_temperature_is_found_and_repaired(sharpened: float) -> None:
    p, targets = draw(4000, 5, seed=1)
    distorted = calibration.scale(p, sharpened)
    found = calibration.calibrate(distorted, targets)
    assert found.temperature == pytest.approx(1 / sharpened, rel=0.1)
    assert found.ece_after_temperature < found.ece / 2


def test_the_cross_fit_never_uses_an_images_own_label() -> None:
    p, targets = draw(200, 4, seed=2)
    reference = calibration.cross_fitted(p, targets, seed=5)
    half = set(np.random.default_rng(5).permutation(200)[:100].tolist())
    changed = targets.copy()
    changed[sorted(half)] = (changed[sorted(half)] + 1) % 4
    again = calibration.cross_fitted(p, changed, seed=5)
    same = [i for i in range(200) if np.array_equal(reference[i], again[i])]
    assert set(same) == half


@given(st.floats(0.1, 10), st.integers(0, 100))
def test_scaling_keeps_the_answer(temperature: float, seed: int) -> None:
    p, _ = draw(20, 6, seed=seed)
    scaled = calibration.scale(p, temperature)
    assert np.allclose(scaled.sum(axis=1), 1)
    assert np.array_equal(scaled.argmax(axis=1), p.argmax(axis=1))


def test_flips_name_the_direction_and_put_harm_first() -> None:
    targets = np.array([0, 1, 2, 0])
    before, after = one_hot([1, 0, 2, 0]), one_hot([2, 1, 0, 0], confidence=0.5)
    found = flips(before, after, targets)
    assert [(f.index, f.direction, f.before, f.after) for f in found] == [
        (2, "right_to_wrong", 2, 0), (1, "wrong_to_right", 0, 1), (0, "wrong_to_other", 1, 2)]
    assert found[0].confidence_before == pytest.approx(0.8)
    assert found[0].confidence_after == pytest.approx(0.5)
    assert {f.direction for f in flips(before, after)} == {"changed"}


def test_paired_accuracy_counts_both_directions() -> None:
    targets = np.zeros(250, np.int64)
    before = one_hot([1] * 20 + [0] * 230)
    after = one_hot([0] * 2 + [1] * 18 + [1] * 5 + [0] * 225)
    found = paired_accuracy(before, after, targets)
    assert (found.right_to_wrong, found.wrong_to_right) == (5, 2)
    assert found.difference.value == pytest.approx(-3 / 250)
    assert found.difference.contains(0)
    assert found.mcnemar_p == pytest.approx(0.453125)
    assert found.images_to_show_it is not None
    assert found.images_to_show_it > 250
    assert found.smallest_shown > 3 / 250
    assert found.images_to_show(0.005) > found.images_to_show_it


def test_identical_models_show_nothing_and_say_what_would() -> None:
    p, targets = draw(250, 4)
    found = paired_accuracy(p, p, targets)
    assert found.images_to_show_it is None
    assert found.mcnemar_p == 1
    assert drift(p, p).kl == 0
    assert drift(p, p).agreement == 1
    assert flips(p, p, targets) == []


def test_drift_by_hand() -> None:
    before = np.array([[0.5, 0.5]], np.float32)
    after = np.array([[0.25, 0.75]], np.float32)
    found = drift(before, after)
    assert found.kl == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))
    assert found.confidence == pytest.approx(0.25)
    assert found.agreement == 0


def test_classes_are_tested_with_correction_and_sorted_by_harm() -> None:
    targets = np.repeat([0, 1, 2], 20)
    before = one_hot(targets.tolist())
    now = targets.copy()
    now[:10] = 1
    now[20:22] = 2
    rows = class_changes(before, one_hot(now.tolist()), targets)
    assert [r.index for r in rows] == [0, 1, 2]
    assert rows[0].p == pytest.approx(2 / 2**10)
    assert rows[0].p_holm == pytest.approx(4 / 2**10)
    assert rows[2].p_holm == 1


def test_models_of_other_classes_are_not_compared() -> None:
    with pytest.raises(InputError, match="different shapes"):
        drift(one_hot([0, 1], k=3), one_hot([0, 1], k=4))
