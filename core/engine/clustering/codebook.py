"""The few values that a layer's weights may take: weighted k-means on a line, exact in its sums.

Lloyd's algorithm ("Least squares quantization in PCM", 1982) on sorted values: a cluster is an interval, so a round
costs a search of the borders and two differences of running sums. Where to start decides what is found. Values laid
out by the cube root of the weights' density give the least error for their number (Panter and Dite, "Quantization
distortion in pulse-count modulation with nonuniform spacing of levels", 1951); values laid out evenly give the least
error for the bits that a packer needs (Gish and Pierce, "Asymptotically efficient quantizing", 1968), since it gains
from uneven use. Between the two stand the other powers of the density, and the power is chosen by the bits allowed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_BINS = 4096
_ROUNDS = 200
_FEW_ROUNDS = 5
_STEPS = 10
_POWERS = (0.0, 0.05, 0.15, 1 / 3)


def codebook(values: Array, importance: Array, count: int, zero: bool = False, bits: float | None = None) -> Array:
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
    bits
        Entropy per weight that is allowed; None allows any. Where evenly spaced values still need more, there are
        fewer of them.

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
    if different.size <= count and (bits is None or entropy(x) <= bits):
        return np.unique(different.astype(np.float32))
    line = _Line(x, w, zero)
    best = line.settled(count, 1 / 3, _ROUNDS)
    if bits is None or line.entropy(best) <= bits:
        return np.unique(best.astype(np.float32))
    # The error falls with every value added, so each power is tried with as many values as the bits allow.
    trials = [line.most(count, power, bits) for power in _POWERS]
    low, high = 0.0, 1 / 3
    for _ in range(_STEPS):
        power = (low + high) / 2
        found = line.settled(count, power, _FEW_ROUNDS)
        if line.entropy(found) <= bits:
            low = power
            trials.append(found)
        else:
            high = power
    return np.unique(min(trials, key=line.error).astype(np.float32))


class _Line:
    """Sorted values with their importance, and the centres that k-means makes of them."""

    def __init__(self, x: Array, w: Array, zero: bool) -> None:
        self._x, self._zero = x, zero
        self._weights, self._sums, self._squares = (
            np.concatenate([[0.0], np.cumsum(a)]) for a in (w, w * x, w * x * x))
        mass, self._edges = np.histogram(x, _BINS, weights=w)
        self._density = np.convolve(mass, np.ones(9) / 9, "same")

    def _borders(self, centres: Array) -> Array:
        inner = np.searchsorted(self._x, (centres[1:] + centres[:-1]) / 2)
        borders: Array = np.concatenate([[0], inner, [self._x.size]])
        return borders

    def settled(self, count: int, power: float, rounds: int) -> Array:
        """Return the centres after some rounds from a start laid out by a power of the density."""
        # The convolution leaves tiny negative numbers where there is nothing.
        share = np.concatenate([[0.0], np.cumsum(np.maximum(self._density, 0.0) ** power)])
        centres = _pinned(np.interp((np.arange(count) + 0.5) / count * share[-1], share, self._edges), self._zero)
        for _ in range(rounds):
            edges = self._borders(centres)
            mass = np.diff(self._weights[edges])
            moved = np.where(mass > 0, np.diff(self._sums[edges]) / np.maximum(mass, 1e-300), centres)
            moved = _pinned(np.sort(moved), self._zero)
            done = np.abs(moved - centres).max() <= 1e-6 * (self._x[-1] - self._x[0])
            centres = moved
            if done:
                break
        return centres

    def entropy(self, centres: Array) -> float:
        """Return the bits per value when each goes to its nearest centre."""
        return _bits(np.diff(self._borders(centres)))


    def error(self, centres: Array) -> float:
        """Return the weighted squared error when each value goes to its nearest centre."""
        edges = self._borders(centres)
        mass, sums, squares = (np.diff(a[edges]) for a in (self._weights, self._sums, self._squares))
        return float((squares - 2 * centres * sums + centres**2 * mass).sum())

    def most(self, count: int, power: float, bits: float) -> Array:
        """Return the centres of the largest number up to ``count`` that need no more than ``bits``, two at least."""
        fewest, best = 1, None
        most = count + 1
        while most - fewest > 1:
            middle = (fewest + most) // 2
            found = self.settled(middle, power, _FEW_ROUNDS)
            if self.entropy(found) <= bits:
                fewest, best = middle, found
            else:
                most = middle
        return self.settled(2, power, _FEW_ROUNDS) if best is None or fewest < 2 else best


def _pinned(centres: Array, zero: bool) -> Array:
    """Return the centres with the one nearest to zero moved there, if it must be one of them."""
    if zero:
        centres = centres.copy()
        centres[np.argmin(np.abs(centres))] = 0.0
    return centres


def _bits(counts: Array) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def entropy(values: Array) -> float:
    """Return the bits per value that a coder of single values needs (Shannon, 1948)."""
    return _bits(np.unique(values, return_counts=True)[1])


def nearest(values: Array, book: Array) -> Array:
    """Return, for each value, the nearest in the ascending ``book``."""
    if book.size == 1:
        return np.full(values.shape, book[0])
    found: Array = book[np.searchsorted((book[1:] + book[:-1]) / 2, values)]
    return found
