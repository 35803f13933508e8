"""What is known about each layer of the file that a run made: storage, work, time and how much it suffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from core.experiments.shares import divergence

HALF = 0.5
"""The share of zeros at which layers are compared."""


def layer_table(record: Mapping[str, Any], details: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per weighted layer in the order of the graph.

    Parameters
    ----------
    record, details
        The run's record, and what was measured beyond it (``core.measurement.records.Details`` as JSON).

    Returns
    -------
    DataFrame
        What ``core.measurement.macs.Layer`` holds, and per layer ``time_ms``: the file's measured median shared out by
        multiplications, an **estimate**, because the runtime does not time layers; ``sensitivity``: the measured
        divergence of the answers, in nats per image, when half of this layer alone is zero, NaN where no step measured
        it; ``output_db``: measured signal over error of the layer's outputs, NaN likewise.
    """
    frame = pd.DataFrame(details["layers"])
    if frame.empty:
        return frame
    curves, decibels = {}, {}
    for row in _rows(record):
        curve = row.get("sensitivity")
        if isinstance(curve, Mapping) and len(curve.get("levels", ())) > 1:
            curves[row["layer"]] = float(divergence(tuple(curve["levels"]), tuple(curve["divergence"]), HALF))
        if row.get("output_db") is not None:
            decibels[row["layer"]] = float(row["output_db"])
    measured = float(record["compressed"]["latency_ms"]["p50"])
    return frame.assign(
        time_ms=measured * frame["share_of_macs"], sensitivity=frame["layer"].map(curves).astype(float),
        output_db=frame["layer"].map(decibels).astype(float),
    )


def _rows(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for step in record.get("steps", ()):
        rows = step.get("details", {}).get("layers")
        if isinstance(rows, list):
            yield from (row for row in rows if isinstance(row, Mapping) and "layer" in row)
