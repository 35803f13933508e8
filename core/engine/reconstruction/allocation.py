"""Share a sparsity out among layers, exactly: the counts of removed weights add up to the target."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.engine.reconstruction.sensitivity import Curve

Array = np.ndarray[Any, Any]
_GRID = 200
_MOST = 0.98
_FLOOR = 1e-9


def exact_counts(fractions: Mapping[str, float], sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Round fractions to whole numbers of weights that add up to ``total``, moving each layer by little.

    Where ``fractions`` add up to another total, the difference is shared in proportion to what each layer has left
    to take or give.
    """
    counts = {name: min(round(fractions[name] * size), size) for name, size in sizes.items()}
    for _ in range(64):
        missing = total - sum(counts.values())
        if not missing:
            break
        room = {n: (sizes[n] - counts[n]) if missing > 0 else counts[n] for n in sizes}
        whole = sum(room.values())
        if not whole:
            break
        for name in sorted(room, key=lambda n: -room[n]):
            step = min(room[name], max(1, abs(missing) * room[name] // whole), abs(total - sum(counts.values())))
            counts[name] += step if missing > 0 else -step
    return counts


def divergence_at(curve: Curve, sparsity: Array) -> Array:
    """Return a layer's divergence at any sparsity 0..1, from its few measured levels.

    The logarithm is interpolated linearly; below the first level the divergence falls as the square of the sparsity,
    above the last it goes on growing at the last slope. Noise that makes a curve fall is ironed out.
    """
    levels = np.asarray(curve.levels)
    values = np.log(np.maximum.accumulate(np.maximum(curve.divergence, _FLOOR)))
    inside = np.interp(sparsity, levels, values)
    slope = (values[-1] - values[-2]) / (levels[-1] - levels[-2]) if len(levels) > 1 else 10.0
    above = values[-1] + max(slope, 5.0) * (sparsity - levels[-1])
    below = values[0] + 2 * np.log(np.maximum(sparsity, 1e-6) / levels[0])
    result = np.where(sparsity < levels[0], below, np.where(sparsity > levels[-1], above, inside))
    return np.where(sparsity <= 0, 0.0, np.exp(result))


def by_sensitivity(
    curves: Sequence[Curve], total: int, cost: Mapping[str, float] | None = None, most: float = _MOST
) -> dict[str, int]:
    """Return how many weights each layer gives so that the summed divergence is smallest.

    Layers give in small portions, always where the next weight costs least; on the convex hulls of the curves this
    is the optimum of the Lagrangian. Divergences of single layers are taken to add up.

    Parameters
    ----------
    curves
        From :func:`core.engine.reconstruction.sensitivity.scan`.
    total
        Number of weights to remove.
    cost
        Factor on the divergence of some layers.
    most
        The largest sparsity of a layer, unless the total needs more.
    """
    cost = cost or {}
    grid = np.linspace(0, most, _GRID + 1)
    portions: list[tuple[float, int, int]] = []
    steps: list[Array] = []
    for number, curve in enumerate(curves):
        hull = _lower_hull(grid, divergence_at(curve, grid) * cost.get(curve.layer, 1.0))
        steps.append(np.diff(hull) / (grid[1] * curve.weights))
        portions.append((float(steps[-1][0]), number, 0))
    heapq.heapify(portions)
    taken = [0] * len(curves)
    removed = 0.0
    while portions and removed < total:
        _, number, place = heapq.heappop(portions)
        removed += grid[1] * curves[number].weights
        taken[number] = place + 1
        if place + 1 < _GRID:
            heapq.heappush(portions, (float(steps[number][place + 1]), number, place + 1))
    fractions = {curve.layer: float(grid[taken[n]]) for n, curve in enumerate(curves)}
    return exact_counts(fractions, {c.layer: c.weights for c in curves}, total)


def _lower_hull(x: Array, y: Array) -> Array:
    """Return the largest convex function below the points, at the same places."""
    kept: list[int] = []
    for i in range(len(x)):
        while len(kept) > 1:
            a, b = kept[-2], kept[-1]
            if (y[b] - y[a]) * (x[i] - x[a]) >= (y[i] - y[a]) * (x[b] - x[a]):
                kept.pop()
            else:
                break
        kept.append(i)
    return np.interp(x, x[kept], y[kept])
