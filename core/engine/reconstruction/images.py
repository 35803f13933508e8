"""The calibration images of a step, read batch by batch; mosaics of them where there are only crops of few photos."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from core.engine.reconstruction.mosaics import mosaic

Array = np.ndarray[Any, Any]
BATCH = 25


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
        self._chosen = chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def batches(self) -> Iterator[Array]:
        """Yield float32 [b, h, w, c]; the same every time."""
        for i in range(0, len(self._chosen), BATCH):
            yield np.asarray(self._source[self._chosen[i: i + BATCH]], np.float32)

    def digest(self) -> str:
        """Return the SHA-256 of what the images are made from."""
        key = hashlib.sha256()
        for batch in self.batches():
            key.update(str(batch.shape).encode() + np.ascontiguousarray(batch).tobytes())
        return key.hexdigest()


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
        for start in range(len(self._chosen), self._count, BATCH):
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
