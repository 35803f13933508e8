import numpy as np
import pytest

from core.errors import InputError
from core.inference import grid_for, median_ms, occlusion_map, overlay, timed_predict
from core.inference.classifier import Classifier


class Brightness:
    """A classifier of one fact: how bright the upper left quarter is."""

    input_shape = (40, 40, 3)
    classes = 2

    def __init__(self):
        self.calls = 0

    def predict(self, batch):
        self.calls += len(batch)
        bright = batch[:, :20, :20].mean(axis=(1, 2, 3))
        return np.stack([bright, 1 - bright], axis=1).astype(np.float32)


@pytest.fixture
def corner():
    image = np.zeros((40, 40, 3), np.float32)
    image[:20, :20] = 1
    return image


def test_hiding_what_the_model_looks_at_lowers_the_probability_there_only(corner):
    drops = occlusion_map(Brightness(), corner, index=0, patch=8, stride=8)
    assert drops.shape == (5, 5)
    assert drops.dtype == np.float32
    # a patch of 8 x 8 hides 64 of 400 pixels, each of which falls from 1 to the photo's mean, 0.25
    assert drops[0, 0] == pytest.approx(64 / 400 * 0.75, abs=1e-5)
    assert drops[3:, 3:] == pytest.approx(0, abs=1e-6)
    opposite = occlusion_map(Brightness(), corner, index=1, patch=8, stride=8)
    assert opposite == pytest.approx(-drops, abs=1e-6)


def test_the_photo_itself_is_left_as_it_was(corner):
    before = corner.copy()
    occlusion_map(Brightness(), corner, 0, 8, 8)
    np.testing.assert_array_equal(corner, before)


@pytest.mark.parametrize(("index", "patch", "stride"), [
    (2, 8, 8), (-1, 8, 8), (0, 0, 8), (0, 8, 0), (0, 8, 41)])
def test_what_does_not_fit_is_an_input_error(corner, index, patch, stride):
    with pytest.raises(InputError):
        occlusion_map(Brightness(), corner, index, patch, stride)


@pytest.mark.parametrize(("side", "ms"), [
    (224, 2), (224, 5), (224, 60), (8, 0.05), (1, 1), (600, 500)])
def test_the_grid_stays_within_the_budget_and_the_image(side, ms):
    patch, stride = grid_for(side, ms, budget_s=0.8)
    positions = len(range(stride // 2, side, stride))
    assert 1 <= stride <= side
    assert 1 <= patch <= side
    assert positions <= 16
    assert positions ** 2 * ms <= 1100 or positions <= 8


def test_a_map_works_on_a_real_file(tflite):
    with np.load(tflite / "expected.npz") as data:
        photo = data["photos"][0]
    drops = occlusion_map(Classifier(tflite / "float32.tflite"), photo, 1, 4, 4)
    assert drops.shape == (4, 4)
    assert np.isfinite(drops).all()


def test_the_overlay_is_lightest_where_the_fall_is_largest():
    picture = np.full((40, 40, 3), 128, np.uint8)
    drops = np.zeros((5, 5), np.float32)
    drops[1, 3] = 0.7
    shown = overlay(picture, drops)
    assert shown.shape == picture.shape
    assert shown.dtype == np.uint8
    light = shown.sum(axis=2)
    assert np.unravel_index(light.argmax(), light.shape) == pytest.approx((12, 28), abs=4)
    assert light[30, 5] < light[12, 28] / 2


def test_the_overlay_of_no_effect_is_all_dark():
    shown = overlay(np.full((10, 10, 3), 200, np.uint8), np.full((3, 3), -0.2, np.float32))
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 1


def test_the_median_is_of_at_most_the_runs_asked_for():
    ticks = iter([0, 0, 0.010, 0.010, 0.012, 0.012, 0.112])
    answer = median_ms(lambda: "x", runs=3, budget_s=1, clock=lambda: next(ticks))
    assert answer == ("x", pytest.approx(10))


def test_a_slow_call_is_made_once():
    calls = []
    ticks = iter([0, 0, 2])
    median_ms(lambda: calls.append(1), runs=5, budget_s=0.05, clock=lambda: next(ticks))
    assert calls == [1]


def test_timed_predict_answers_as_predict_does(tflite):
    with np.load(tflite / "expected.npz") as data:
        photos = data["photos"][:1]
    model = Classifier(tflite / "float32.tflite")
    answer, milliseconds = timed_predict(model, photos)
    np.testing.assert_array_equal(answer, model.predict(photos))
    assert milliseconds > 0
