"""The calibration images of a step, read batch by batch.

Where they are few, other views of them are added; where they are crops of few photos, mosaics of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from core.engine.reconstruction.mosaics import mosaic

Array = np.ndarray[Any, Any]
BATCH = 25
_SMALLEST_VIEW = 0.4
_SMALLEST_SIDE = 64


class Images:
    """Some of the calibration images.

    Parameters
    ----------
    source
        Prepared images, float32 [n, h, w, c]; an array or a memory map.
    chosen
        Their indices.
    """

    def __init__(self, source: Array, chosen: Array) -> None:
        self._source = source
        self.chosen = chosen

    def __len__(self) -> int:
        return len(self.chosen)

    def batches(self) -> Iterator[Array]:
        """Yield float32 [b, h, w, c]; the same every time."""
        for i in range(0, len(self.chosen), BATCH):
            yield np.asarray(self._source[self.chosen[i: i + BATCH]], np.float32)

    def digest(self) -> str:
        """Return the SHA-256 of what the images are made from."""
        key = hashlib.sha256()
        for batch in self.batches():
            key.update(str(batch.shape).encode() + np.ascontiguousarray(batch).tobytes())
        return key.hexdigest()


class Views(Images):
    """The images as they are, then other views of them up to ``count`` pictures in all.

    Least squares on a few hundred photos fits them, and not the next ones: a view of another part in another scale,
    or mirrored, holds the same things on other positions, and what a layer makes of it is known just as well.

    Parameters
    ----------
    source, chosen
        See :class:`Images`.
    count
        Pictures in all. Images with sides below 64 pixels have no parts worth looking at: they stay alone.
    seed
        Of the views.
    """

    def __init__(self, source: Array, chosen: Array, count: int, seed: int) -> None:
        super().__init__(source, chosen)
        small = min(source.shape[1:3]) < _SMALLEST_SIDE
        self._count = len(chosen) if small else max(count, len(chosen))
        self._seed = seed

    def __len__(self) -> int:
        return self._count

    def batches(self) -> Iterator[Array]:
        """Yield float32 [b, h, w, c]; the same every time."""
        yield from super().batches()
        for start in range(len(self.chosen), self._count, BATCH):
            numbers = np.arange(start, min(start + BATCH, self._count)) % len(self.chosen)
            rows = np.asarray(self._source[self.chosen[numbers]], np.float32)
            yield views(rows, np.random.default_rng([self._seed, start]))


def views(images: Array, generator: np.random.Generator) -> Array:
    """Return one random part of each image [n, h, w, c] at full size, every second one mirrored on average.

    A part has 0.4 to 1 of the area and nearly the image's shape.
    """
    n, height, width, _ = images.shape
    side, shape = np.sqrt(generator.uniform(_SMALLEST_VIEW, 1, n)), np.exp(generator.uniform(-0.15, 0.15, n))
    h, w = np.minimum(side * shape, 1), np.minimum(side / shape, 1)
    top, left = generator.uniform(0, 1 - h), generator.uniform(0, 1 - w)
    mirrored = generator.random(n) < 0.5
    boxes = np.stack([top, np.where(mirrored, left + w, left), top + h, np.where(mirrored, left, left + w)], 1)
    return np.asarray(tf.image.crop_and_resize(images, boxes, np.arange(n), (height, width)), np.float32)


class Mosaics(Images):
    """A share of the images as they are, then mosaics of them up to ``count`` pictures in all.

    Parameters
    ----------
    source, chosen
        See :class:`Images`; only the chosen ones are used.
    count
        Pictures in all.
    seed
        Of the mosaics.
    """

    def __init__(self, source: Array, chosen: Array, count: int, seed: int) -> None:
        plain = chosen[:: max(1, -(-5 * len(chosen) // count))]
        super().__init__(source, plain)
        self._all = chosen
        self._count = max(count, len(plain))
        self._seed = seed

    def __len__(self) -> int:
        return self._count

    def batches(self) -> Iterator[Array]:
        """Yield float32 [b, h, w, c]; the same every time."""
        low, high = np.inf, -np.inf
        for batch in super().batches():
            low, high = min(low, float(batch.min())), max(high, float(batch.max()))
            yield batch
        for start in range(len(self.chosen), self._count, BATCH):
            generator = np.random.default_rng([self._seed, start])
            yield np.stack([
                mosaic(_Rows(self._source, self._all), number % len(self._all), generator, low, high)
                for number in range(start, min(start + BATCH, self._count))
            ])

    def digest(self) -> str:
        """Return the SHA-256 of what the mosaics are made from."""
        made = Images(self._source, self._all).digest()
        return hashlib.sha256(f"{made} {self._count} {self._seed}".encode()).hexdigest()


class _Rows:
    """Chosen rows of an array, by their number among the chosen."""

    def __init__(self, source: Array, chosen: Array) -> None:
        self._source = source
        self._chosen = chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, number: int) -> Array:
        row: Array = self._source[self._chosen[number]]
        return row
