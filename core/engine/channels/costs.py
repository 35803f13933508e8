"""Multiply-accumulates and parameters of a model of which some units are gone, counted without building it."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.engine.channels.dependencies import Dependencies

Array = np.ndarray[Any, Any]


class Counter:
    """Keeps count of multiply-accumulates, or of weights, while units go, group by group.

    Parameters
    ----------
    found
        The traced model.
    what
        "macs" for multiply-accumulates per example, "parameters" for the weights of convolutions and dense layers.

    Attributes
    ----------
    total
        Of the whole model.
    """

    def __init__(self, found: Dependencies, what: str = "macs") -> None:
        maps = found.maps
        sizes = [m.kernel if what == "parameters" else m.positions for m in maps]
        self._scale = np.array([size / (len(m.reads) if m.depthwise else m.groups)
                                for size, m in zip(sizes, maps, strict=True)], np.float64)
        self._depthwise = np.array([m.depthwise for m in maps], bool)
        self._reads = np.array([len(m.reads) for m in maps], np.float64)
        self._makes = np.array([len(m.makes) for m in maps], np.float64)
        self._fixed = self._reads.copy()
        first = [int(group.units[0]) for group in found.groups]
        # Units of a group are alike, so the first of them speaks for all.
        self._read_by = np.array([[(m.reads == unit).sum() for m in maps] for unit in first], np.float64)
        self._made_by = np.array([[(m.makes == unit).sum() for m in maps] for unit in first], np.float64)
        self.total = float(self._count(self._reads, self._makes).sum())

    def _count(self, reads: Array, makes: Array) -> Array:
        counted: Array = self._scale * np.where(self._depthwise, self._fixed, reads) * makes
        return counted

    def left(self) -> float:
        """Return the count of what is left."""
        return float(self._count(self._reads, self._makes).sum())

    def gain(self, group: int, units: int) -> float:
        """Return what removing so many more units of a group would save."""
        reads = self._reads - units * self._read_by[group]
        makes = self._makes - units * self._made_by[group]
        return self.left() - float(self._count(reads, makes).sum())

    def remove(self, group: int, units: int) -> None:
        """Take away so many units of a group."""
        self._reads = self._reads - units * self._read_by[group]
        self._makes = self._makes - units * self._made_by[group]
