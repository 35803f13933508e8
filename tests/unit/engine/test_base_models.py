"""The base models: right weights in the right places, and files that answer as they do."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tf_keras
from PIL import Image

from core.datasets import batches, open_dataset
from core.engine import canonical, efficientnet
from core.engine.base import load_base
from core.engine.convert import to_tflite
from core.engine.prepare import calibration
from core.engine.verify import check_file, compare, run_file
from core.errors import InputError, NotFoundError, PromiseError
from core.images import prepare
from core.settings import ROOT, Settings
from core.zoo import Library


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(home=ROOT / "var" / "unused")


@pytest.fixture(scope="module")
def digits(settings: Settings) -> tf_keras.Model:
    return load_base(Library(settings).card("digits"), settings)


@pytest.fixture(scope="module")
def inputs(settings: Settings) -> np.ndarray:
    return calibration(Library(settings).card("digits"), settings)


def test_efficientnet_names_what_is_on_the_bundled_photos(settings: Settings) -> None:
    import skimage

    card = Library(settings).card("efficientnet-lite0")
    labels = Library(settings).labels(card)
    model = load_base(card, settings)
    assert model.count_params() == card.parameters
    assert sum(isinstance(x, tf_keras.layers.BatchNormalization) for x in model.layers) == 49
    folder = Path(skimage.__file__).parent / "data"
    photos = [Image.open(folder / name).convert("RGB") for name in ("coffee.png", "chelsea.png", "rocket.jpg")]
    answers = model(np.stack([prepare(photo, card.preprocessing) for photo in photos])).numpy()
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)
    names = [labels[i] for i in answers.argmax(1)]
    assert names[0] == "espresso"
    assert "cat" in names[1]
    assert names[2] == "missile"


def test_efficientnet_refuses_weights_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="stem"):
        efficientnet.build({})


def test_digits_is_right_on_at_least_98_percent_of_the_test_part(digits: tf_keras.Model, settings: Settings) -> None:
    card = Library(settings).card("digits")
    data = open_dataset("digits", settings, "test")
    images = np.concatenate(list(batches(data, range(len(data)), card.preprocessing)))
    found = digits(images).numpy().argmax(1)
    accuracy = float((found == data.targets).mean())
    stated = next(metric for metric in card.metrics if metric.name == "top1")
    assert len(data) == stated.n == 360
    assert accuracy >= 0.98
    assert accuracy == pytest.approx(stated.value, abs=1e-4)
    assert digits.count_params() == card.parameters
    assert (ROOT / "models" / "digits" / "weights.npz").stat().st_size < 500_000


@pytest.mark.slow
def test_the_training_script_reproduces_the_digits_weights(tmp_path: Path) -> None:
    out = tmp_path / "weights.npz"
    done = subprocess.run([sys.executable, "-m", "core.engine.digits", "--out", str(out)], cwd=ROOT, check=True,
                          capture_output=True, timeout=280)
    with np.load(out) as again, np.load(ROOT / "models" / "digits" / "weights.npz") as shipped:
        for name in shipped.files:
            np.testing.assert_allclose(again[name], shipped[name], atol=1e-3, err_msg=name)
    assert json.loads(done.stdout)["accuracy"]["test"] >= 0.98


@pytest.mark.parametrize(("scheme", "largest"), [
    ("float32", 320_000), ("float16", 170_000), ("dynamic", 100_000), ("int8", 95_000), ("int16x8", 95_000),
])
def test_every_scheme_gives_a_smaller_file_that_agrees(
    digits: tf_keras.Model, inputs: np.ndarray, scheme: str, largest: int
) -> None:
    content = to_tflite(digits, scheme=scheme, calibration=[inputs[:50], inputs[50:100]])  # type: ignore[arg-type]
    assert len(content) < largest
    parity = compare(digits(inputs[:32]).numpy(), run_file(content, inputs[:32]))
    assert parity.top1_agreement == 1
    assert parity.max_abs_difference < (1e-5 if scheme == "float32" else 0.06)


def test_int8_without_calibration_is_refused(digits: tf_keras.Model) -> None:
    with pytest.raises(InputError, match="calibration"):
        to_tflite(digits, scheme="int8", calibration=[])


def test_the_check_catches_a_file_that_is_not_what_it_says(digits: tf_keras.Model, inputs: np.ndarray) -> None:
    expected = digits(inputs[:32]).numpy()
    float32 = to_tflite(digits, scheme="float32")
    check_file(float32, "float32", expected, inputs[:32])
    with pytest.raises(PromiseError, match="floating point"):
        check_file(float32, "int8", expected, inputs[:32])
    with pytest.raises(PromiseError, match="differ"):
        check_file(float32, "float32", expected[:, ::-1], inputs[:32])
    int8 = to_tflite(digits, scheme="int8", calibration=[inputs[:50]], io="int8")
    assert check_file(int8, "int8", expected, inputs[:32]).top1_agreement == 1


def test_calibration_is_the_same_each_time_and_in_range(settings: Settings) -> None:
    card = Library(settings).card("efficientnet-lite0")
    first = calibration(card, settings)
    assert first.shape == (200, 224, 224, 3)
    assert first.dtype == np.float32
    assert -1 <= first.min() < -0.9 < 0.9 < first.max() <= 1
    np.testing.assert_array_equal(first, calibration(card, settings))


def test_our_own_form_reads_back_exactly(digits: tf_keras.Model, inputs: np.ndarray, tmp_path: Path) -> None:
    canonical.write_model(digits, tmp_path / "base-1.2")
    again = canonical.read_model(tmp_path / "base-1.2")
    np.testing.assert_array_equal(again(inputs[:4]).numpy(), digits(inputs[:4]).numpy())
    (tmp_path / "base-1.2.npz").write_bytes(b"PK\3\4")
    with pytest.raises(InputError):
        canonical.read_model(tmp_path / "base-1.2")


def test_models_without_weights_say_so(settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="suspect-detection"):
        load_base(Library(settings).card("suspect-detection"), settings)
