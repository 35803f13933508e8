"""The few values that a layer's weights may take: weighted k-means on a line, exact in its sums.

Lloyd's algorithm ("Least squares quantization in PCM", 1982) on sorted values: a cluster is an interval, so a round
costs a search of the borders and two differences of running sums. It starts from the density of values that is best
in the limit of many, the cube root of the weights' own (Panter and Dite, 1951), and so needs no random choice.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_BINS = 4096
_ROUNDS = 200


def codebook(values: Array, importance: Array, count: int, zero: bool = False) -> Array:
    """Return the values that weights are rounded to.

    Parameters
    ----------
    values
        float [n], the weights.
    importance
        float [n], what the squared error of each counts; not negative.
    count
        At most so many values are returned, the zero included.
    zero
        Whether 0 must be one of them.

    Returns
    -------
    array
        float32, ascending, distinct; fewer than ``count`` where the weights take fewer values.
    """
    order = np.argsort(values, kind="stable")
    x, w = values[order].astype(np.float64), importance[order].astype(np.float64) + 1e-30
    if zero and count == 1:
        return np.zeros(1, np.float32)
    different = np.unique(np.append(x, 0.0) if zero else x)
    if different.size <= count:
        return np.unique(different.astype(np.float32))
    weight_sums, sums = (np.concatenate([[0.0], np.cumsum(a)]) for a in (w, w * x))
    centres = _pinned(_start(x, w, count), zero)
    for _ in range(_ROUNDS):
        borders = np.searchsorted(x, (centres[1:] + centres[:-1]) / 2)
        edges = np.concatenate([[0], borders, [x.size]])
        mass = np.diff(weight_sums[edges])
        moved = np.where(mass > 0, np.diff(sums[edges]) / np.maximum(mass, 1e-300), centres)
        moved = _pinned(np.sort(moved), zero)
        done = np.abs(moved - centres).max() <= 1e-6 * (x[-1] - x[0])
        centres = moved
        if done:
            break
    return np.unique(centres.astype(np.float32))


def _start(x: Array, w: Array, count: int) -> Array:
    mass, edges = np.histogram(x, _BINS, weights=w)
    smooth = np.convolve(mass, np.ones(9) / 9, "same")
    share = np.concatenate([[0.0], np.cumsum(np.cbrt(smooth))])
    start: Array = np.interp((np.arange(count) + 0.5) / count * share[-1], share, edges)
    return start


def _pinned(centres: Array, zero: bool) -> Array:
    """Return the centres with the one nearest to zero moved there, if it must be one of them."""
    if zero:
        centres = centres.copy()
        centres[np.argmin(np.abs(centres))] = 0.0
    return centres


def nearest(values: Array, book: Array) -> Array:
    """Return, for each value, the nearest in the ascending ``book``."""
    if book.size == 1:
        return np.full(values.shape, book[0])
    found: Array = book[np.searchsorted((book[1:] + book[:-1]) / 2, values)]
    return found
