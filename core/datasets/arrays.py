"""Image sets that are one array: small pictures of one size."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.datasets.base import Indices, digest_of


class ArrayImages:
    """Pictures of one size in one array.

    Parameters
    ----------
    name
        What people call the set.
    classes
        Class names.
    pixels
        uint8 ``[n, h, w, c]`` with one or three channels; may be a memory map.
    targets
        int64 ``[n]``.
    splits
        The division that the set comes with.
    """

    def __init__(
        self, name: str, classes: list[str], pixels: NDArray[np.uint8], targets: Indices,
        splits: Mapping[str, Indices],
    ) -> None:
        self.name = name
        self.classes: list[str] | None = classes
        self.targets: Indices | None = targets
        self.splits = splits
        self._pixels = pixels

    @cached_property
    def ids(self) -> list[str]:
        """The images' numbers, as text."""
        return [str(i) for i in range(len(self))]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all pixels and classes."""
        return digest_of(self)

    def __len__(self) -> int:
        return len(self._pixels)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return one image: uint8 ``[h, w, c]``."""
        return np.asarray(self._pixels[index])

    def sha256(self, index: int) -> str:
        """Return the digest of one image's pixels."""
        return hashlib.sha256(np.ascontiguousarray(self._pixels[index]).tobytes()).hexdigest()
