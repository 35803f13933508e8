"""Round a layer's weights to given values one input at a time, the error made up for by the inputs still to come.

GPTQ (Frantar, Ashkboos, Hoefler and Alistarh, 2022, arXiv:2210.17323) with a codebook in place of a grid, and zeros
kept as SparseGPT does (Frantar and Alistarh, 2023, arXiv:2301.00774); then coordinate descent, as QuantEase does
(Behdin et al., 2023, arXiv:2309.01885).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_BLOCK = 64


def round_with_compensation(
    kernel: Array, hessian: Array, quantize: Callable[[Array], Array], allowed: Array | None = None
) -> Array:
    """Return the rounded kernel that gives nearly the outputs of ``kernel``.

    Inputs are taken in order of falling variance, since what comes last has nobody to make up for it.

    Parameters
    ----------
    kernel
        float [g, d, m]: groups, inputs, outputs.
    hessian
        float [g, d, d], positive definite: second moments of the inputs with a ridge.
    quantize
        One input's weights [g, m] to the values that they may take.
    allowed
        bool [g, d, m], False where a weight must be zero.

    Returns
    -------
    array
        float32 [g, d, m].
    """
    diagonal = np.einsum("gdd->gd", hessian)
    order = np.argsort(-diagonal, axis=1, kind="stable")
    groups = np.arange(len(kernel))[:, None]
    work = kernel[groups, order].astype(np.float32)
    free = None if allowed is None else allowed[groups, order]
    factor = _inverse_factor(hessian[groups[:, :, None], order[:, :, None], order[:, None, :]])
    rounded = np.empty_like(work)
    inputs = work.shape[1]
    for start in range(0, inputs, _BLOCK):
        stop = min(start + _BLOCK, inputs)
        errors = np.empty_like(work[:, start:stop])
        for i in range(start, stop):
            found = quantize(work[:, i])
            if free is not None:
                found = np.where(free[:, i], found, 0)
            rounded[:, i] = found
            errors[:, i - start] = (work[:, i] - found) / factor[:, i, i, None]
            work[:, i + 1:stop] -= factor[:, i, i + 1:stop, None] * errors[:, i - start, None]
        work[:, stop:] -= factor[:, start:stop, stop:].transpose(0, 2, 1) @ errors
    back = np.empty_like(rounded)
    back[groups, order] = rounded
    return back


def descend(
    rounded: Array, wanted: Array, hessian: Array, quantize: Callable[[Array], Array], allowed: Array | None = None
) -> Array:
    """Go once over all inputs and give each weight the value that is best as all others are now.

    Rounding with compensation sees the errors of the inputs before; this sees those of all. The error
    ``tr((R - W)^T H (R - W))`` never rises.

    Parameters
    ----------
    rounded
        float [g, d, m], where to start.
    wanted
        float [g, d, m], the weights ``W`` to come near to.
    hessian, quantize, allowed
        See :func:`round_with_compensation`.

    Returns
    -------
    array
        float32 [g, d, m].
    """
    matrix = hessian.astype(np.float32)
    current = rounded.astype(np.float32)
    slope = matrix @ (current - wanted.astype(np.float32))
    for start in range(0, current.shape[1], _BLOCK):
        stop = min(start + _BLOCK, current.shape[1])
        moves = np.zeros_like(current[:, start:stop])
        for i in range(start, stop):
            found = quantize(current[:, i] - slope[:, i] / matrix[:, i, i, None])
            if allowed is not None:
                found = np.where(allowed[:, i], found, 0)
            moves[:, i - start] = move = found - current[:, i]
            slope[:, start:stop] += matrix[:, start:stop, i, None] * move[:, None]
            current[:, i] = found
        slope[:, :start] += matrix[:, :start, start:stop] @ moves
        slope[:, stop:] += matrix[:, stop:, start:stop] @ moves
    return current


def _inverse_factor(hessian: Array) -> Array:
    """Return upper triangular ``U`` with ``U^T U`` the inverse of ``hessian`` [g, d, d], float32."""
    # The Cholesky factor of the matrix in reverse order, inverted and turned back, is the factor of the inverse.
    flipped = np.linalg.cholesky(hessian[:, ::-1, ::-1].astype(np.float64))
    inverse = np.linalg.inv(flipped)[:, ::-1, ::-1]
    return inverse.astype(np.float32)
