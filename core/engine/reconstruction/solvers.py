"""Choose which weights of one layer stay, and refit those that do, from the layer's second moments.

Everything here is per layer and knows nothing of networks. Shapes: ``g`` groups, ``d`` inputs, ``m`` outputs.
The objective is ``|X W - T|^2 + ridge * n * |D (W - W0)|^2`` with ``D^2`` the inputs' variances: a fit to the
targets that leans to the weights ``W0`` of the reference where the data are silent.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import lapack
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from core.engine.reconstruction.statistics import Moments

Array = np.ndarray[Any, Any]
_EXACT_UP_TO = 1500
_WORKERS = 2


@dataclass(frozen=True)
class Problem:
    """What a solver is given.

    Attributes
    ----------
    kernel
        float [g, d, m], the reference's weights.
    moments
        Of this layer's inputs in the compressed model against the targets.
    allowed
        bool [g, d, m], False where a weight must stay zero; None when all are free.
    """

    kernel: Array
    moments: Moments
    allowed: Array | None = None


@dataclass(frozen=True)
class Solution:
    """What a solver returns: kernel [g, d, m], bias [g, m] float32, and mask [g, d, m] bool (True is kept)."""

    kernel: Array
    bias: Array
    mask: Array


Solver = Callable[[Problem], Solution]
"""The border between walking a network and a constraint: sparsity here, codebooks or channels elsewhere."""


@dataclass(frozen=True)
class Whitened:
    """The problem with inputs scaled to unit variance, ridge added: minimise ``<W, H W>/2 - <W, G>``, float32."""

    hessian: Array
    cross: Array
    kernel: Array
    scale: Array


def whiten(problem: Problem, ridge: float) -> Whitened:
    """Scale each input to unit variance; an input that never varies counts for nearly nothing."""
    moments = problem.moments
    variance = np.einsum("gdd->gd", moments.hessian) / max(moments.rows, 1)
    floor = 1e-6 * variance.mean(axis=1, keepdims=True) + 1e-20
    scale = np.sqrt(np.maximum(variance, floor))
    hessian = moments.hessian / max(moments.rows, 1) / scale[:, :, None] / scale[:, None, :]
    cross = moments.cross / max(moments.rows, 1) / scale[:, :, None]
    kernel = problem.kernel * scale[:, :, None]
    index = np.arange(hessian.shape[1])
    hessian[:, index, index] += ridge
    return Whitened(
        hessian.astype(np.float32), (cross + ridge * kernel).astype(np.float32),
        kernel.astype(np.float32), scale.astype(np.float32),
    )


def keep_largest(score: Array, count: int, allowed: Array | None = None) -> Array:
    """Return the mask of exactly ``count`` largest scores (or of all the allowed ones, if they are fewer)."""
    flat = score.ravel().copy()
    if allowed is not None:
        flat[~allowed.ravel()] = -np.inf
        count = min(count, int(allowed.sum()))
    mask = np.zeros(flat.shape, bool)
    if count > 0:
        mask[np.argpartition(flat, flat.size - count)[flat.size - count:]] = True
    return mask.reshape(score.shape)


def admm_mask(
    white: Whitened, kept: int, allowed: Array | None = None, iterations: int = 24, penalty: float = 1.0
) -> Array:
    """Search the mask by the alternating direction method of multipliers with gradually growing sparsity.

    Each round solves the least squares with a pull to the sparse copy, then makes the sparse copy from the largest
    entries of the solution plus the accumulated disagreement. The share removed grows to its final value as a cubic
    over the first two thirds of the rounds, so that early choices can still be taken back.

    Boza, "Fast and Effective Weight Update for Pruned Large Language Models" (2024), with the objective's linear
    term taken from the targets instead of the layer's own output.

    Parameters
    ----------
    white
        From :func:`whiten`; in its scale the size of a weight is the change it makes to the output.
    kept
        Number of weights that stay, over all groups.

    Returns
    -------
    array
        bool [g, d, m] with exactly ``kept`` True (fewer only if fewer are allowed).
    """
    total = white.kernel.size
    index = np.arange(white.hessian.shape[1])
    damped = white.hessian.copy()
    damped[:, index, index] += penalty
    inverse = np.linalg.inv(damped)
    sparse = white.kernel if allowed is None else white.kernel * allowed
    dual = np.zeros_like(sparse)
    mask = np.ones(sparse.shape, bool)
    growing = max(1, 2 * iterations // 3)
    for step in range(1, iterations + 1):
        solved = inverse @ (white.cross + penalty * (sparse - dual))
        share = 1 - max(0.0, 1 - step / growing) ** 3
        count = total - round((total - kept) * share)
        score = solved + dual
        mask = keep_largest(np.abs(score), count, allowed)
        sparse = score * mask
        dual = score - sparse
    return mask


def masked_least_squares(white: Whitened, mask: Array, start: Array | None = None, rounds: int = 40) -> Array:
    """Return the weights [g, d, m] that minimise the whitened objective among those zero off the mask.

    Columns are independent: each is a Cholesky solve on its own support while the supports are small, and
    conjugate gradients on all columns at once (projected on the mask, from ``start``) when they are large.
    """
    support = float(mask.sum()) / max(mask.shape[0] * mask.shape[2], 1)
    if support > _EXACT_UP_TO:
        return _conjugate_gradients(white, mask, white.kernel * mask if start is None else start, rounds)
    result = np.zeros(mask.shape, np.float32)

    def solve(place: tuple[int, int]) -> None:
        group, column = place
        chosen = np.flatnonzero(mask[group, :, column])
        if chosen.size:
            part = np.asfortranarray(white.hessian[group][np.ix_(chosen, chosen)])
            _, solved, failed = lapack.sposv(part, white.cross[group, chosen, column], overwrite_a=1)
            if failed:  # rounding made a nearly singular matrix indefinite
                part = white.hessian[group][np.ix_(chosen, chosen)]
                solved = np.linalg.lstsq(part, white.cross[group, chosen, column], rcond=1e-6)[0]
            result[group, chosen, column] = solved

    # A thousand small systems on one thread each: threads inside each solve would only wait for one another.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(solve, np.ndindex(mask.shape[0], mask.shape[2])))
    return result


def _conjugate_gradients(white: Whitened, mask: Array, start: Array, rounds: int) -> Array:
    weights = start * mask
    residual = (white.cross - white.hessian @ weights) * mask
    direction = residual.copy()
    energy = np.einsum("gdm,gdm->gm", residual, residual)
    first = np.maximum(np.einsum("gdm,gdm->gm", white.cross, white.cross), 1e-30)
    for _ in range(rounds):
        if float((energy / first).max()) < 1e-10:
            break
        image = (white.hessian @ direction) * mask
        curvature = np.maximum(np.einsum("gdm,gdm->gm", direction, image), 1e-30)
        length = (energy / curvature)[:, None, :]
        weights = weights + length * direction
        residual = residual - length * image
        renewed = np.einsum("gdm,gdm->gm", residual, residual)
        direction = residual + (renewed / np.maximum(energy, 1e-30))[:, None, :] * direction
        energy = renewed
    return weights


def match_variance(kernel: Array, moments: Moments, strength: float = 1.0, limit: float = 2.0) -> Array:
    """Scale each output channel of ``kernel`` [g, d, m] so that its variance is the reference's again.

    Least squares on a subset of the inputs shrinks the output towards its mean, and the shrinkage adds up over
    layers. ``strength`` 0 leaves the kernel, 1 matches fully; the factor stays within ``1 / limit`` to ``limit``.
    """
    made = moments.output_variance(kernel)
    factor = np.sqrt(moments.spread / np.maximum(made, 1e-20))
    factor = np.where(made > 1e-12 * (1 + moments.spread), np.clip(factor, 1 / limit, limit), 1.0)
    return kernel * (factor**strength)[:, None, :]


def finish(kernel: Array, mask: Array, moments: Moments) -> Solution:
    """Return the solution with exact zeros off the mask and the bias that matches the mean target."""
    kernel = np.where(mask, kernel, 0.0).astype(np.float32)
    return Solution(kernel, moments.bias(kernel).astype(np.float32), mask)


@dataclass(frozen=True)
class SparseSolver:
    """Sparsity as the constraint: ADMM mask, masked least squares, variance match.

    Attributes
    ----------
    kept
        Number of weights of the layer that stay.
    iterations
        Rounds of the mask search.
    ridge
        Pull to the reference's weights, in units of an input's variance.
    variance
        Strength of the variance match, 0 to 1.
    """

    kept: int
    iterations: int = 24
    ridge: float = 0.3
    variance: float = 1.0

    def __call__(self, problem: Problem) -> Solution:
        """Solve ``problem``; raises nothing of its own."""
        white = whiten(problem, self.ridge)
        free = problem.kernel.size if problem.allowed is None else int(problem.allowed.sum())
        if self.kept >= free:
            mask = np.ones(problem.kernel.shape, bool) if problem.allowed is None else problem.allowed
        else:
            mask = admm_mask(white, self.kept, problem.allowed, self.iterations)
        fitted = masked_least_squares(white, mask) / white.scale[:, :, None]
        return finish(match_variance(fitted, problem.moments, self.variance), mask, problem.moments)
