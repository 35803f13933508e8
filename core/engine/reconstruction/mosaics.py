"""Many different pictures out of few: views of images, with parts of others laid over them.

Crops of ten photos show ten things in ten settings, and statistics taken from them mislead the late layers, which
tell things apart. Changing scale, light and colours, and letting several things meet in one picture, gives these
layers inputs that are closer in variety to photos of the world, as collages of natural textures do (Baradad et al.,
"Learning to See by Looking at Noise", NeurIPS 2021, arXiv:2106.05963, on such images for training).
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import numpy as np
import tensorflow as tf

Array = np.ndarray[Any, Any]


class Rows(Protocol):
    """Images by number."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, number: int, /) -> Any:
        """Return one, [h, w, c]."""


_SMALLEST_VIEW = 0.2
_SMALLEST_PART = 0.2
_LARGEST_PART = 0.75
_MOST_PARTS = 3


def mosaic(images: Rows, first: int, generator: np.random.Generator, low: float, high: float) -> Array:
    """Return one picture: a view of ``images[first]`` with up to three views of random others on top.

    Parameters
    ----------
    images
        Prepared images, float32 [n, h, w, c] or anything that gives such a row by index.
    first
        The image in the background.
    generator
        Of every random choice.
    low, high
        The range of the prepared values; the result stays inside.

    Returns
    -------
    array
        float32 [h, w, c].
    """
    background = np.asarray(images[first], np.float32)
    height, width = background.shape[:2]
    picture = _view(background, (height, width), generator)
    for _ in range(int(generator.integers(0, _MOST_PARTS + 1))):
        h, w = (
            max(1, int(side * np.exp(generator.uniform(np.log(_SMALLEST_PART), np.log(_LARGEST_PART)))))
            for side in (height, width)
        )
        other = np.asarray(images[int(generator.integers(len(images)))], np.float32)
        part = _view(other, (h, w), generator)
        top = int(generator.integers(-(h // 3), height - h + h // 3 + 1))
        left = int(generator.integers(-(w // 3), width - w + w // 3 + 1))
        y0, x0, y1, x1 = max(top, 0), max(left, 0), min(top + h, height), min(left + w, width)
        picture[y0:y1, x0:x1] = part[y0 - top: y1 - top, x0 - left: x1 - left]
    return np.clip(picture, low, high)


def _view(image: Array, size: tuple[int, int], generator: np.random.Generator) -> Array:
    """Return a random part of ``image`` at ``size``, maybe mirrored, in another light and other colours."""
    scale = np.exp(generator.uniform(np.log(_SMALLEST_VIEW), 0))
    h, w = (max(1, round(side * scale)) for side in image.shape[:2])
    top, left = int(generator.integers(image.shape[0] - h + 1)), int(generator.integers(image.shape[1] - w + 1))
    part = image[top: top + h, left: left + w]
    if generator.random() < 0.5:
        part = part[:, ::-1]
    view = np.array(tf.image.resize(part, size, antialias=True), np.float32)
    mean = view.mean((0, 1))
    gain, light = generator.uniform(0.7, 1.3), generator.normal(0, 0.15, mean.shape)
    view = (view - mean) * gain + mean + light * max(float(image.std()), 1e-6)
    if generator.random() < 0.3:
        view = view[..., generator.permutation(view.shape[-1])]
    return cast(Array, view.astype(np.float32))
