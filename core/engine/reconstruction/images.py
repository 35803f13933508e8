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

    def batches(self, every: int = 1) -> Iterator[Array]:
        """Yield float32 [b, h, w, c], of each ``every`` batches the first; the same every time."""
        for start in range(0, len(self), BATCH * every):
            yield self._batch(start)

    def _batch(self, start: int) -> Array:
        return np.asarray(self._source[self.chosen[start: start + BATCH]], np.float32)

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

    def _batch(self, start: int) -> Array:
        own = super()._batch(start)
        first = start + len(own)
        numbers = np.arange(first, min(start + BATCH, self._count)) % len(self.chosen)
        if not numbers.size:
            return own
        rows = np.asarray(self._source[self.chosen[numbers]], np.float32)
        return np.concatenate([own, views(rows, np.random.default_rng([self._seed, first]))])


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
    """A share of the images as they are, then mosaics of all of them up to ``count`` pictures.

    Parameters
    ----------
    source, chosen
        See :class:`Images`; only the chosen ones are used.
    count
        Pictures in all, of which at most a fifth are images as they are.
    seed
        Of the mosaics.
    """

    def __init__(self, source: Array, chosen: Array, count: int, seed: int) -> None:
        super().__init__(source, chosen[:: max(1, -(-5 * len(chosen) // count))])
        self._all = chosen
        self._count = max(count, len(self.chosen))
        self._seed = seed
        self._range: tuple[float, float] | None = None

    def __len__(self) -> int:
        return self._count

    def _batch(self, start: int) -> Array:
        own = super()._batch(start)
        first, last = start + len(own), min(start + BATCH, self._count)
        if first == last:
            return own
        if self._range is None:
            ends = [(float(b.min()), float(b.max())) for b in Images(self._source, self.chosen).batches()]
            self._range = min(low for low, _ in ends), max(high for _, high in ends)
        rows, generator = _Rows(self._source, self._all), np.random.default_rng([self._seed, first])
        made = [mosaic(rows, n % len(self._all), generator, *self._range) for n in range(first, last)]
        return np.concatenate([own, np.stack(made)])

    def digest(self) -> str:
        """Return the SHA-256 of what the mosaics are made from."""
        made = Images(self._source, self._all).digest()
        return hashlib.sha256(f"{made} {len(self.chosen)} {self._count} {self._seed}".encode()).hexdigest()


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
