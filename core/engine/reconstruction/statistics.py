"""Second moments of a layer's inputs and targets: all that a least-squares solver needs to know of the data.

For rows ``x`` (patches) and targets ``t`` the squared error of ``x W + b`` depends on the data through sums only:
``H = sum (x - mean)(x - mean)^T``, ``G = sum (x - mean)(t - mean)^T``, the means and the spread of ``t``. They are
collected batch by batch, so memory does not grow with the number of photos.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import blas

Array = np.ndarray[Any, Any]
_WIDE = 64
"""Inputs per group from which half a matrix is worth a call of its own for each group."""


@dataclass(frozen=True)
class Moments:
    """Centred sums over ``rows`` rows; ``g`` groups, ``d`` inputs and ``m`` outputs per group; float64.

    Attributes
    ----------
    rows
        Number of rows that were added.
    hessian
        [g, d, d], ``sum (x - mean_input)(x - mean_input)^T``.
    cross
        [g, d, m], ``sum (x - mean_input)(t - mean_target)^T``.
    mean_input, mean_target
        [g, d] and [g, m].
    spread
        [g, m], variance per row of the reference output (not of the corrected target).
    target_energy
        [g, m], ``sum (t - mean_target)^2``.
    """

    rows: int
    hessian: Array
    cross: Array
    mean_input: Array
    mean_target: Array
    spread: Array
    target_energy: Array

    def error(self, kernel: Array) -> float:
        """Return the squared error of ``kernel`` [g, d, m] with its best bias, over the targets' energy."""
        fitted = np.einsum("gdm,gdm->gm", kernel, self.hessian @ kernel - 2 * self.cross)
        total = float(self.target_energy.sum())
        return max(float((fitted + self.target_energy).sum()), 0.0) / max(total, 1e-30)

    def bias(self, kernel: Array) -> Array:
        """Return the bias [g, m] that makes the mean output of ``kernel`` the mean target."""
        moved: Array = np.einsum("gd,gdm->gm", self.mean_input, kernel)
        return self.mean_target - moved

    def output_variance(self, kernel: Array) -> Array:
        """Return the variance per row [g, m] of what ``kernel`` puts out."""
        energy: Array = np.einsum("gdm,gdm->gm", kernel, self.hessian @ kernel)
        return energy / max(self.rows, 1)


class Accumulator:
    """Adds batches of rows up to :class:`Moments`."""

    def __init__(self, groups: int, inputs: int, outputs: int) -> None:
        self.rows = 0
        self._shift: tuple[Array, Array] | None = None
        self._xx = np.zeros((groups, inputs, inputs))
        self._xt = np.zeros((groups, inputs, outputs))
        self._x = np.zeros((groups, inputs))
        self._t = np.zeros((groups, outputs))
        self._tt = np.zeros((groups, outputs))
        self._y = np.zeros((groups, outputs))
        self._yy = np.zeros((groups, outputs))

    def add(self, inputs: Array, targets: Array, reference: Array, weight: int = 1) -> None:
        """Add rows: inputs [g, n, d], targets and the reference's outputs [g, n, m], float32, counted ``weight`` times.
        """
        if self._shift is None:
            # Sums of values far from zero would lose an input of small variance to rounding.
            self._shift = inputs.mean(1, keepdims=True), reference.mean(1, keepdims=True)
        inputs = inputs - self._shift[0]
        targets, reference = targets - self._shift[1], reference - self._shift[1]
        self.rows += inputs.shape[1] * weight
        turned = inputs.transpose(0, 2, 1)
        if inputs.shape[2] < _WIDE:
            self._xx += weight * (turned @ inputs)
        else:
            for group, rows in enumerate(turned):
                self._xx[group] += blas.ssyrk(weight, rows).T  # the lower triangle
        self._xt += weight * (turned @ targets)
        self._x += weight * inputs.sum(1, dtype=np.float64)
        self._t += weight * targets.sum(1, dtype=np.float64)
        self._tt += weight * np.square(targets, dtype=np.float64).sum(1)
        self._y += weight * reference.sum(1, dtype=np.float64)
        self._yy += weight * np.square(reference, dtype=np.float64).sum(1)

    def moments(self) -> Moments:
        """Return the centred sums so far. The accumulator must not be used after."""
        n = max(self.rows, 1)
        if self._xx.shape[1] >= _WIDE:
            for square in self._xx:
                square += np.tril(square, -1).T
        x, t, y = self._x / n, self._t / n, self._y / n
        self._xx -= n * x[:, :, None] * x[:, None, :]
        self._xt -= n * x[:, :, None] * t[:, None, :]
        move_x, move_t = (0.0, 0.0) if self._shift is None else (s[:, 0] for s in self._shift)
        return Moments(
            rows=self.rows, hessian=self._xx, cross=self._xt,
            mean_input=x + move_x, mean_target=t + move_t,
            spread=np.maximum(self._yy / n - y * y, 0), target_energy=np.maximum(self._tt - n * t * t, 0),
        )
