"""Sharing a target sparsity out among layers by rules that need the weights alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
MOST = 0.99


def uniform(kernels: Mapping[str, Array], sparsity: float) -> dict[str, float]:
    """Return the same fraction of zeros for every layer."""
    return dict.fromkeys(kernels, sparsity)


def smallest_overall(kernels: Mapping[str, Array], sparsity: float) -> dict[str, float]:
    """Return each layer's fraction when the smallest weights of the whole model go.

    Weights are compared in units of their layer's root mean square, since layers differ in scale by orders
    of magnitude. No layer loses more than 99 %.
    """
    scores = {name: np.abs(k).ravel() / (float(np.sqrt((k**2).mean())) or 1.0)
              for name, k in kernels.items()}

    def fractions(threshold: float) -> dict[str, float]:
        return {name: min(MOST, float((s <= threshold).mean())) for name, s in scores.items()}

    sizes = {name: k.size for name, k in kernels.items()}
    low, high = 0.0, max(float(s.max()) for s in scores.values())
    for _ in range(60):
        middle = (low + high) / 2
        if total(fractions(middle), sizes) < sparsity:
            low = middle
        else:
            high = middle
    return fractions(high)


def erdos_renyi_kernel(kernels: Mapping[str, Array], sparsity: float) -> dict[str, float]:
    """Return fractions by the ERK rule: a layer's density falls with its size.

    Density is proportional to the sum of a kernel's dimensions over their product (Evci et al., "Rigging the
    Lottery", ICML 2020, arXiv:1911.11134); layers that would be more than dense stay whole and the others
    make up for them.
    """
    sizes = {name: k.size for name, k in kernels.items()}
    raw = {name: sum(k.shape) / float(k.size) for name, k in kernels.items()}
    dense: set[str] = set()
    keep = (1 - sparsity) * sum(sizes.values())
    while True:
        left = keep - sum(sizes[n] for n in dense)
        scale = left / sum(raw[n] * sizes[n] for n in kernels if n not in dense)
        over = {n for n in kernels if n not in dense and raw[n] * scale > 1}
        if not over:
            break
        dense |= over
    return {n: 0.0 if n in dense else min(MOST, 1 - raw[n] * scale) for n in kernels}


def total(fractions: Mapping[str, float], sizes: Mapping[str, int]) -> float:
    """Return the fraction of zeros over all layers."""
    return sum(fractions[n] * sizes[n] for n in sizes) / sum(sizes.values())
