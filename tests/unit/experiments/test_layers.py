"""What is told about each layer: measured figures as measured, a layer's time as an estimate that adds up."""

import json
import math
from pathlib import Path

import pytest

from core.experiments.layers import layer_table

RECORDS = json.loads((Path(__file__).parent / "digits_records.json").read_text("utf-8"))
LAYERS = [
    {"layer": name, "kind": "CONV_2D", "shape": [1], "type": "int8", "parameters": 10, "zeros": 0.5, "distinct": 3,
     "bytes": 10, "macs": macs, "nonzero_macs": macs, "share_of_size": 0.1, "share_of_macs": macs / 100}
    for name, macs in (("conv1", 10), ("conv2", 30), ("unheard of", 60))
]


def test_times_of_layers_add_up_to_what_was_measured_of_the_whole():
    table = layer_table(RECORDS[0], {"layers": LAYERS})
    assert table["time_ms"].sum() == pytest.approx(RECORDS[0]["compressed"]["latency_ms"]["p50"])
    assert table["time_ms"].idxmax() == 2


def test_sensitivity_is_that_at_half_the_zeros_and_missing_where_it_was_not_measured():
    table = layer_table(RECORDS[0], {"layers": LAYERS}).set_index("layer")
    curve = next(row["sensitivity"] for step in RECORDS[0]["steps"] for row in step["details"]["layers"]
                 if row["layer"] == "conv1" and row["sensitivity"])
    at_half = dict(zip(curve["levels"], curve["divergence"], strict=True))[0.5]
    assert table["sensitivity"]["conv1"] == pytest.approx(at_half)
    assert math.isnan(table["sensitivity"]["unheard of"])


def test_a_file_without_layers_and_a_record_without_steps_are_no_error():
    assert layer_table({"compressed": {"latency_ms": {"p50": 1.0}}}, {"layers": []}).empty
    table = layer_table({"compressed": {"latency_ms": {"p50": 1.0}}}, {"layers": LAYERS})
    assert table["sensitivity"].isna().all()
