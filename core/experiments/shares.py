"""Where a recipe's zeros would go, layer by layer: the rules of the pruning steps, from a profile alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.experiments.profiles import LEVELS, LayerProfile, ModelProfile

Array = np.ndarray[Any, Any]
MOST = 0.98
_GRID = np.linspace(0.0, MOST, 99)
Curves = Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]
"""Layer to the sparsities that were tried on it alone and the divergence of the answers that each caused."""


def shares(profile: ModelProfile, sparsity: float, allocation: object, curves: Curves) -> dict[str, float]:
    """Return each prunable layer's fraction of zeros.

    ``allocation`` is a rule of ``core.recipes.allocation`` or a mapping. "sensitivity" uses the measured ``curves``
    where there are any, else the energy of the zeroed weights stands for the damage.
    """
    layers = profile.prunable
    if isinstance(allocation, Mapping):
        return {layer.name: float(allocation.get(layer.name, 0.0)) for layer in layers}
    if not layers:
        return {}
    rule = {"global": _smallest_overall, "erk": _erdos_renyi_kernel}.get(str(allocation))
    if rule is not None:
        return rule(layers, sparsity)
    if allocation == "sensitivity":
        return _least_damage(layers, sparsity, curves)
    return {layer.name: sparsity for layer in layers}


def overall(profile: ModelProfile, fractions: Mapping[str, float]) -> float:
    """Return the fraction of zeros over all prunable weights."""
    total = sum(layer.weights for layer in profile.prunable)
    return sum(fractions.get(layer.name, 0.0) * layer.weights for layer in profile.prunable) / max(1, total)


def divergence(levels: tuple[float, ...], values: tuple[float, ...], sparsity: Array | float) -> Array:
    """Return a curve's divergence at any sparsity: log-linear between its levels, quadratic below the first one."""
    known = np.log(np.maximum.accumulate(np.maximum(values, 1e-9)))
    at = np.asarray(sparsity, float)
    slope = max(5.0, (known[-1] - known[-2]) / (levels[-1] - levels[-2])) if len(levels) > 1 else 10.0
    inside = np.interp(at, levels, known)
    below = known[0] + 2 * np.log(np.maximum(at, 1e-6) / levels[0])
    result = np.where(at < levels[0], below, np.where(at > levels[-1], known[-1] + slope * (at - levels[-1]), inside))
    return np.where(at <= 0, 0.0, np.exp(result))


def _smallest_overall(layers: tuple[LayerProfile, ...], sparsity: float) -> dict[str, float]:
    sizes = np.array([layer.weights for layer in layers], float)
    table = np.array([layer.quantiles for layer in layers])
    places = np.linspace(0, 1, table.shape[1])

    def fractions(threshold: float) -> Array:
        return np.array([min(0.99, float(np.interp(threshold, row, places))) for row in table])

    low, high = 0.0, float(table.max())
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if fractions(middle) @ sizes < sparsity * sizes.sum() else (low, middle)
    return dict(zip((layer.name for layer in layers), map(float, fractions(high)), strict=True))


def _erdos_renyi_kernel(layers: tuple[LayerProfile, ...], sparsity: float) -> dict[str, float]:
    """ERK (Evci et al. 2020, arXiv:1911.11134): density falls with size; what would be over one stays whole."""
    raw = {layer.name: sum(layer.shape) / layer.weights for layer in layers}
    sizes = {layer.name: layer.weights for layer in layers}
    whole: set[str] = set()
    keep = (1 - sparsity) * sum(sizes.values())
    while len(whole) < len(layers):
        rest = [name for name in sizes if name not in whole]
        scale = (keep - sum(sizes[n] for n in whole)) / sum(raw[n] * sizes[n] for n in rest)
        over = {n for n in rest if raw[n] * scale > 1}
        if not over:
            return {n: 0.0 if n in whole else min(0.99, 1 - raw[n] * max(scale, 0.0)) for n in sizes}
        whole |= over
    return dict.fromkeys(sizes, sparsity)


def _least_damage(layers: tuple[LayerProfile, ...], sparsity: float, curves: Curves) -> dict[str, float]:
    sizes = np.array([layer.weights for layer in layers], float)
    slopes = []
    for layer in layers:
        if layer.name in curves:
            damage = divergence(*curves[layer.name], _GRID)
        else:
            damage = np.interp(_GRID, LEVELS, layer.error)
        slopes.append(np.maximum.accumulate(np.diff(damage)) / (_GRID[1] * layer.weights))
    steepness = np.array(slopes)
    low, high = -60.0, 5.0  # logarithms of the price of one weight
    for _ in range(50):
        middle = (low + high) / 2
        given = _GRID[(steepness <= np.exp(middle)).sum(axis=1)]
        low, high = (middle, high) if given @ sizes < sparsity * sizes.sum() else (low, middle)
    # Layers of equal price come in jumps; a part of the last jump meets the target.
    under, over = (_GRID[(steepness <= np.exp(price)).sum(axis=1)] for price in (low, high))
    gap = float((over - under) @ sizes)
    part = min(1.0, max(0.0, (sparsity * sizes.sum() - float(under @ sizes)) / gap)) if gap > 0 else 0.0
    given = under + part * (over - under)
    return dict(zip((layer.name for layer in layers), map(float, given), strict=True))
