"""From a picture to the numbers that a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import InputError
from core.images.reading import as_picture
from core.locales import N_

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
}


class Preprocessing(Protocol):
    """What a model card says about its input; ``core.zoo.Preprocessing`` fits it."""

    @property
    def resize(self) -> str:
        """``short-side-crop``, ``stretch`` or ``fit``."""

    @property
    def resize_to(self) -> int:
        """Short side, both sides or long side in pixels, in the order of ``resize``'s values."""

    @property
    def interpolation(self) -> str:
        """``bicubic``, ``bilinear``, ``area`` (which average when shrinking) or ``nearest``."""

    @property
    def crop(self) -> int | None:
        """Side of the square cut from the centre after resizing, in pixels."""

    @property
    def mean(self) -> Sequence[float]:
        """Subtracted, on the scale 0 to 255; one value, or one for each channel."""

    @property
    def std(self) -> Sequence[float]:
        """Divides what is left; one value, or one for each channel."""

    @property
    def color(self) -> str:
        """``rgb`` (three channels) or ``grayscale`` (one)."""

    @property
    def invert(self) -> bool:
        """Whether black and white change places before the mean is subtracted."""


def input_shape(preprocessing: Preprocessing) -> tuple[int, int, int]:
    """Return the ``(h, w, c)`` that ``prepare`` makes of every picture.

    Raises
    ------
    InputError
        If ``short-side-crop`` comes without a crop: pictures would keep shapes of their own.
    """
    side = preprocessing.crop
    if side is None:
        if preprocessing.resize == "short-side-crop":
            raise InputError(
                N_("The model's card resizes by the short side but has no crop. Add one to it.")
            )
        side = preprocessing.resize_to
    return side, side, 1 if preprocessing.color == "grayscale" else 3


def prepare(
    image: Image.Image | NDArray[np.uint8], preprocessing: Preprocessing
) -> NDArray[np.float32]:
    """Turn one picture into one input of a model, without the batch axis.

    Shrinking averages over the source pixels (Pillow's filters widen with the factor), as training
    pipelines in the field do; plain point sampling costs points of accuracy.

    Parameters
    ----------
    image
        A picture, or a uint8 array ``[h, w, 3]`` or ``[h, w, 1]``.
    preprocessing
        What the card says.

    Returns
    -------
    numpy.ndarray
        float32 ``[h, w, c]``: ``(x - mean) / std`` of the values 0 to 255.

    Raises
    ------
    InputError
        If the preprocessing names a resize or an interpolation that does not exist, or leaves the
        shape open.
    """
    height, width, channels = input_shape(preprocessing)
    picture = image if isinstance(image, Image.Image) else as_picture(image)
    picture = picture.convert("L" if channels == 1 else "RGB")
    picture = _resized(picture, preprocessing)
    if picture.size != (width, height):
        left, top = (round((a - b) / 2) for a, b in zip(picture.size, (width, height), strict=True))
        picture = picture.crop((left, top, left + width, top + height))
    values = np.asarray(picture, np.float32).reshape(height, width, channels)
    if preprocessing.invert:
        values = 255 - values
    mean = np.asarray(preprocessing.mean, np.float32)
    std = np.asarray(preprocessing.std, np.float32)
    return np.ascontiguousarray((values - mean) / std, np.float32)


def _resized(picture: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    to, (width, height) = preprocessing.resize_to, picture.size
    try:
        resampling = _RESAMPLING[preprocessing.interpolation]
    except KeyError as error:
        raise _unknown(preprocessing.interpolation) from error
    if preprocessing.resize == "stretch":
        return picture.resize((to, to), resampling)
    if preprocessing.resize == "short-side-crop":
        scale = to / min(width, height)
    elif preprocessing.resize == "fit":
        scale = to / max(width, height)
    else:
        raise _unknown(preprocessing.resize)
    size = max(1, int(width * scale + 1e-9)), max(1, int(height * scale + 1e-9))
    picture = picture.resize(size, resampling)
    return _framed(picture, to, preprocessing) if preprocessing.resize == "fit" else picture


def _framed(picture: Image.Image, side: int, preprocessing: Preprocessing) -> Image.Image:
    # The border is the mean, so that it is near zero for the model.
    grey = round(sum(preprocessing.mean) / len(preprocessing.mean))
    grey = 255 - grey if preprocessing.invert else grey
    frame = Image.new("L", (side, side), grey).convert(picture.mode)
    frame.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return frame


def _unknown(value: str) -> InputError:
    return InputError(
        N_("'{value}' is not a way to resize that is known here. Correct the model's card."),
        value=value,
    )
