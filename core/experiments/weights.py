"""How the weights are spread before and after, layer by layer, read from the two files that ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import NotFoundError
from core.locales import N_
from core.measurement.tflite_file import read_tflite

BINS = 60
_TAIL = 0.002


def weighted_layers(path: Path) -> list[str]:
    """Return the names of a file's weighted layers in the order of its graph. InputError if it cannot be read."""
    return [weight.layer for weight in read_tflite(path).weights]


def histogram(baseline: Path, compressed: Path, position: int) -> pd.DataFrame:
    """Return the distribution of one layer's weights in both files over the same bins.

    Layers are matched by their place among the weighted ones, because converters rename them.

    Returns
    -------
    DataFrame
        Columns ``form`` ("before" or "after"), ``low`` and ``high`` (the bin), and ``share`` (of the weights,
        0 to 1). Exact zeros are counted apart, in a row per form with ``low`` = ``high`` = 0. The outermost 0.2 %
        of values on each side fall into the first and last bins.

    Raises
    ------
    NotFoundError
        If one of the files has no such layer.
    InputError
        If a file cannot be read.
    """
    values = {}
    for form, path in (("before", baseline), ("after", compressed)):
        weights = read_tflite(path).weights
        if not 0 <= position < len(weights):
            raise NotFoundError(N_("The two files have different layers, so this one cannot be compared."))
        values[form] = weights[position].tensor.real().reshape(-1)
    low, high = np.quantile(np.concatenate([v[v != 0] for v in values.values()] or [np.zeros(1)]), (_TAIL, 1 - _TAIL))
    edges = np.linspace(min(low, -1e-9), max(high, 1e-9), BINS + 1)
    rows = []
    for form, found in values.items():
        kept = found[found != 0]
        counts, _ = np.histogram(np.clip(kept, edges[0], edges[-1]), edges)
        rows += [
            {"form": form, "low": edges[i], "high": edges[i + 1], "share": count / found.size}
            for i, count in enumerate(counts)
        ]
        rows.append({"form": form, "low": 0.0, "high": 0.0, "share": 1 - kept.size / found.size})
    return pd.DataFrame(rows)
