"""Finished runs as a table of figures, for charts and for spreadsheets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from core.experiments.runs import Run

COLUMNS = (
    "run", "name", "quality", "quality_low", "quality_high", "lost_points", "lost_low", "lost_high", "file_mb",
    "gzip_mb", "latency_ms", "speed", "speed_low", "speed_high", "sparsity", "agreement",
)


def points(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per finished run.

    ``quality`` is top-1 accuracy with its interval where the data has labels, else the agreement with the baseline, in
    per cent; ``lost_points`` its distance from the baseline's. Sizes are in MB (10^6 bytes), latency in ms,
    ``sparsity`` the fraction of all parameters that is zero.
    """
    rows = [_row(run, run.record) for run in runs if run.record is not None]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(run: Run, record: dict[str, Any]) -> dict[str, Any]:
    after, change = record["compressed"], record["comparison"]
    size, speed, agreement = after["size"], change["latency_ratio"], 100 * change["agreement"]
    top1 = (after["accuracy"] or {}).get("top1")
    lost = change["top1_difference"]
    quality = [100 * top1[k] for k in ("value", "low", "high")] if top1 else [agreement, None, None]
    away = [-100 * lost[k] for k in ("value", "high", "low")] if lost else [100 - agreement, None, None]
    return dict(zip(COLUMNS, (
        run.id, run.name, *quality, *away, size["tflite_bytes"] / 1e6, size["gzip_bytes"] / 1e6,
        after["latency_ms"]["p50"], speed["value"], speed["low"], speed["high"],
        1 - size["nonzero_parameters"] / max(1, size["parameters"]), agreement,
    ), strict=True))
