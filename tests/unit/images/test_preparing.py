"""From pictures to numbers, checked against arithmetic done by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.errors import InputError
from core.images import input_shape, prepare


@dataclass(frozen=True)
class Card:
    resize: str = "short-side-crop"
    resize_to: int = 256
    interpolation: str = "bicubic"
    crop: int | None = 224
    mean: list[float] = field(default_factory=lambda: [127.0])
    std: list[float] = field(default_factory=lambda: [128.0])
    color: str = "rgb"
    invert: bool = False


LITE0 = Card()
DIGITS = Card("stretch", 8, "area", None, [0.0], [255.0], "grayscale")


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, channels)).astype(np.uint8)


def test_the_centre_is_cut_and_scaled() -> None:
    pixels = noise(256, 256)
    expected = (pixels[16:240, 16:240].astype(np.float32) - 127) / 128
    result = prepare(pixels, LITE0)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_the_crop_is_central_in_a_wide_and_in_a_tall_picture() -> None:
    wide = np.zeros((256, 512, 3), np.uint8)
    wide[:, 256 - 112:256 + 112] = 255
    assert (prepare(wide, LITE0) == 1).all()
    assert (prepare(wide.transpose(1, 0, 2), LITE0) == 1).all()


def test_shrinking_averages() -> None:
    checks = np.zeros((512, 512, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = 255
    for interpolation in ("bicubic", "bilinear", "area"):
        result = prepare(checks, replace(LITE0, interpolation=interpolation))
        assert np.abs(result).max() < 0.02
    assert np.abs(prepare(checks, replace(LITE0, interpolation="nearest"))).min() > 0.9


def test_digits_pass_through_exactly() -> None:
    pixels = noise(8, 8, 1)
    np.testing.assert_array_equal(prepare(pixels, DIGITS), pixels.astype(np.float32) / 255)
    np.testing.assert_allclose(prepare(pixels, replace(DIGITS, invert=True)), 1 - pixels / 255.0, atol=1e-6)


def test_channels_have_their_own_mean_and_spread() -> None:
    card = replace(LITE0, mean=[10.0, 20.0, 30.0], std=[1.0, 2.0, 4.0])
    result = prepare(Image.new("RGB", (300, 300), (11, 22, 34)), card)
    np.testing.assert_allclose(result[0, 0], [1, 1, 1])


def test_fit_shows_everything_within_a_border_at_zero() -> None:
    card = Card("fit", 64, "bilinear", None)
    result = prepare(np.full((32, 64, 3), 255, np.uint8), card)
    assert result.shape == (64, 64, 3)
    assert (result[16:48] == 1).all()
    assert (result[:16] == 0).all()
    assert (result[48:] == 0).all()


def test_stretch_ignores_proportions() -> None:
    assert prepare(noise(50, 200), Card("stretch", 32, "area", None)).shape == (32, 32, 3)


def test_grey_arrays_serve_colour_models() -> None:
    result = prepare(noise(20, 20, 1), LITE0)
    assert result.shape == (224, 224, 3)
    assert (result[..., 0] == result[..., 2]).all()


@pytest.mark.parametrize("card", [
    replace(LITE0, resize="squeeze"), replace(LITE0, interpolation="magic"), replace(LITE0, crop=None),
])
def test_a_card_that_makes_no_sense_is_an_input_error(card: Card) -> None:
    with pytest.raises(InputError):
        prepare(noise(30, 30), card)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(8, 160), height=st.integers(8, 160), side=st.integers(4, 40),
    resize=st.sampled_from(["short-side-crop", "stretch", "fit"]),
    interpolation=st.sampled_from(["bicubic", "bilinear", "nearest", "area"]),
    color=st.sampled_from(["rgb", "grayscale"]),
)
def test_every_picture_gets_the_same_shape_and_range(
    width: int, height: int, side: int, resize: str, interpolation: str, color: str
) -> None:
    crop = side if resize == "short-side-crop" else None
    card = Card(resize, side, interpolation, crop, [0.0], [255.0], color)
    result = prepare(noise(height, width), card)
    assert result.shape == input_shape(card)
    assert result.min() >= 0
    assert result.max() <= 1
