"""A codebook as the constraint of layer-wise reconstruction: few distinct values per layer or per output channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.engine.clustering.codebook import codebook, nearest
from core.engine.clustering.rounding import round_with_compensation
from core.engine.reconstruction.solvers import (
    Problem,
    Solution,
    finish,
    masked_least_squares,
    match_variance,
    whiten,
)

Array = np.ndarray[Any, Any]


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
    ridge
        Pull to the reference's weights, in units of an input's variance.
    variance
        Strength of the variance match before rounding, 0 to 1.
    """

    clusters: int
    per_channel: bool = False
    ridge: float = 0.3
    variance: float = 1.0

    def __call__(self, problem: Problem) -> Solution:
        """Solve ``problem``; raises nothing of its own."""
        white = whiten(problem, self.ridge)
        mask = np.ones(problem.kernel.shape, bool) if problem.allowed is None else problem.allowed
        # Columns that miss nothing share one factorization.
        solved = np.linalg.solve(white.hessian, white.cross) if mask.all() else masked_least_squares(white, mask)
        wanted = solved / white.scale[:, :, None]
        wanted = match_variance(wanted, problem.moments, self.variance)
        hessian = white.hessian * white.scale[:, :, None] * white.scale[:, None, :]
        return finish(self._rounded(wanted, hessian, mask), mask, problem.moments)

    def _rounded(self, wanted: Array, hessian: Array, mask: Array) -> Array:
        zero = not bool(mask.all())
        importance = np.broadcast_to(np.einsum("gdd->gd", hessian)[:, :, None], wanted.shape)
        if self.per_channel:
            books = [codebook(wanted[g, :, m], importance[g, :, m], self.clusters, not bool(mask[g, :, m].all()))
                     for g, m in np.ndindex(wanted.shape[0], wanted.shape[2])]
            table = np.stack([np.pad(b, (0, self.clusters - b.size), "edge") for b in books])
            table = table.reshape(wanted.shape[0], wanted.shape[2], -1)

            def own(row: Array) -> Array:
                place = np.abs(row[:, :, None] - table).argmin(-1)
                return np.take_along_axis(table, place[:, :, None], 2)[:, :, 0]

            return round_with_compensation(wanted, hessian, own, mask if zero else None)
        book = codebook(wanted[mask], importance[mask], self.clusters, zero)
        return round_with_compensation(wanted, hessian, lambda row: nearest(row, book), mask if zero else None)
