"""A codebook as the constraint of layer-wise reconstruction: few distinct values per layer or per output channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.engine.clustering.codebook import codebook, entropy, nearest
from core.engine.clustering.rounding import descend, round_with_compensation
from core.engine.reconstruction.solvers import (
    Problem,
    Solution,
    finish,
    masked_least_squares,
    match_variance,
    whiten,
)

Array = np.ndarray[Any, Any]
_PASSES = 2
_WIDE = 256
_HIGHEST = 127
_STEPS_PER_OCTAVE = 2
_SAMPLE = 20000
_SPACINGS = np.geomspace(0.01, 4, 300)


@dataclass(frozen=True)
class CodebookSolver:
    """Least squares, then a codebook by k-means weighted with the Hessian's diagonal, then rounding to it.

    Attributes
    ----------
    clusters
        Most values of the layer, or of each output channel with ``per_channel``; the zero of removed weights is one
        of them.
    per_channel
        Whether each output channel has values of its own.
    bits
        Entropy per weight that is allowed, None for any; for values of a whole layer.
    ridge
        Pull to the reference's weights, in units of an input's variance; less for layers of less than 256 inputs.
    variance
        Strength of the variance match before rounding, 0 to 1.
    """

    clusters: int
    per_channel: bool = False
    bits: float | None = None
    ridge: float = 0.3
    variance: float = 1.0

    def __call__(self, problem: Problem) -> Solution:
        """Solve ``problem``; raises nothing of its own."""
        wanted, hessian, mask = _fitted(problem, self.ridge, self.variance)
        rounded = _rounded(wanted, hessian, mask, self._quantizer(wanted, hessian, mask))
        return finish(rounded, mask, problem.moments)

    def _quantizer(self, wanted: Array, hessian: Array, mask: Array) -> Callable[[Array], Array]:
        importance = _importance(hessian, wanted)
        if not self.per_channel:
            book = codebook(wanted[mask], importance[mask], self.clusters, not mask.all(), self.bits)
            return lambda row: nearest(row, book)
        books = [codebook(wanted[g, :, m], importance[g, :, m], self.clusters, not bool(mask[g, :, m].all()))
                 for g, m in np.ndindex(wanted.shape[0], wanted.shape[2])]
        table = np.stack([np.pad(b, (0, self.clusters - b.size), "edge") for b in books])
        table = table.reshape(wanted.shape[0], wanted.shape[2], -1)

        def own(row: Array) -> Array:
            place = np.abs(row[:, :, None] - table).argmin(-1)
            return np.take_along_axis(table, place[:, :, None], 2)[:, :, 0]

        return own


@dataclass(frozen=True)
class ScaledSolver:
    """One codebook of int8 codes for the layer, times a scale for each output channel, as int8 files store weights.

    Attributes
    ----------
    clusters
        Most codes, the zero included; with ``bits`` one less where this is even, so that both signs have as many.
    bits, ridge, variance
        See :class:`CodebookSolver`.
    """

    clusters: int
    bits: float | None = None
    ridge: float = 0.3
    variance: float = 1.0

    def __call__(self, problem: Problem) -> tuple[Solution, Array]:
        """Return the solution and the scales [g, m], float32: weights are whole multiples of them up to 127."""
        wanted, hessian, mask = _fitted(problem, self.ridge, self.variance)
        scales, codes = self.grid(wanted, _importance(hessian, wanted), mask)
        rounded = _rounded(wanted, hessian, mask, lambda row: nearest(row / scales, codes) * scales)
        return finish(rounded, mask, problem.moments), scales

    def grid(self, kernel: Array, importance: Array, mask: Array) -> tuple[Array, Array]:
        """Return the scales [g, m] and the codes [k], whole numbers from -127 to 127, both float32.

        With ``bits``, codes are neighbouring whole numbers: evenly spaced values cost least for their bits, and all
        layers then write the same few bytes, so a packer's tables fit all of them. Without, they are k-means' values.
        """
        size = _sizes(kernel, mask)
        unit, weight = (kernel / size[:, None])[mask], (importance * np.square(size)[:, None])[mask]
        if self.bits is not None:
            step, codes = _even(unit, weight, self.clusters, self.bits)
            return (size * step).astype(np.float32), codes
        book = codebook(unit, weight, self.clusters, True)
        step = float(np.abs(book).max()) / _HIGHEST or 1.0
        return (size * step).astype(np.float32), np.unique(np.rint(book / step)).astype(np.float32)


def _even(unit: Array, weight: Array, count: int, bits: float) -> tuple[float, Array]:
    """Return the spacing of least error among those that need no more than ``bits``, and the codes, odd in number."""
    picked = np.argsort(unit, kind="stable")[:: max(1, unit.size // _SAMPLE)]
    x, w = unit[picked], weight[picked]
    half = max(1, min((count - 1) // 2, _HIGHEST))
    best, error = _SPACINGS[-1], np.inf
    for step in _SPACINGS:
        found = np.clip(np.rint(x / step), -half, half)
        missed = float((w * np.square(x - found * step)).sum())
        if missed < error and entropy(found) <= bits:
            best, error = step, missed
    return float(best), np.arange(-half, half + 1, dtype=np.float32)


def unit_kernel(kernel: Array) -> Array:
    """Return a kernel [g, d, m] with each output channel brought to about unit size."""
    return kernel / _sizes(kernel, np.ones(kernel.shape, bool))[:, None]


def _sizes(kernel: Array, mask: Array) -> Array:
    """Return the root mean square of each output channel's live weights [g, m], on a grid.

    Values fit themselves to whatever the sizes are, so a coarse grid costs nothing, and few sizes pack to little.
    """
    size = np.sqrt((np.square(kernel) * mask).sum(1) / np.maximum(mask.sum(1), 1))
    size = np.maximum(size, 1e-6 * float(size.max()) + 1e-30)
    found: Array = np.exp2(np.round(np.log2(size) * _STEPS_PER_OCTAVE) / _STEPS_PER_OCTAVE)
    return found


def _fitted(problem: Problem, ridge: float, variance: float) -> tuple[Array, Array, Array]:
    """Return the kernel to be rounded [g, d, m], the Hessian of its error [g, d, d], and the mask of live weights."""
    # The fewer inputs, the better the data know them: the stem's error falls by a third with a pull that small.
    white = whiten(problem, ridge * min(1.0, problem.kernel.shape[1] / _WIDE))
    mask = np.ones(problem.kernel.shape, bool) if problem.allowed is None else problem.allowed
    # Columns that miss nothing share one factorization.
    solved = np.linalg.solve(white.hessian, white.cross) if mask.all() else masked_least_squares(white, mask)
    wanted = match_variance(solved / white.scale[:, :, None], problem.moments, variance)
    return wanted, white.hessian * white.scale[:, :, None] * white.scale[:, None, :], mask


def _importance(hessian: Array, kernel: Array) -> Array:
    return np.broadcast_to(np.einsum("gdd->gd", hessian)[:, :, None], kernel.shape)


def _rounded(wanted: Array, hessian: Array, mask: Array, quantize: Callable[[Array], Array]) -> Array:
    allowed = None if mask.all() else mask
    rounded = round_with_compensation(wanted, hessian, quantize, allowed)
    for _ in range(_PASSES):
        rounded = descend(rounded, wanted, hessian, quantize, allowed)
    return rounded
