"""Sizes, counts and multiplications of real files against figures worked out by hand."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
import zstandard

from core.measurement.macs import layers, total_macs
from core.measurement.size import bounds, entropy_bytes, measure_size
from core.measurement.tflite_file import read_tflite

# Output positions x weights: 8x8 after the stride, then dense layers.
MACS = {"stem": 64 * 216, "depth": 64 * 72, "point": 64 * 128, "hidden": 1536, "top": 480}


def test_macs_of_every_layer(forms: Path) -> None:
    for form in ("float", "float16", "int8", "sparse"):
        model = read_tflite(forms / f"{form}.tflite")
        assert {row.layer: row.macs for row in layers(model)} == MACS
        assert total_macs(model) == sum(MACS.values())


def test_layers_tell_zeros_distinct_values_and_shares(forms: Path) -> None:
    rows = {row.layer: row for row in layers(read_tflite(forms / "float.tflite"))}
    assert rows["point"].zeros == 0.75
    assert rows["hidden"].zeros == 0.5
    assert rows["top"].distinct <= 8
    assert rows["point"].nonzero_macs == MACS["point"] // 4
    assert sum(row.share_of_macs for row in rows.values()) == pytest.approx(1)
    assert 0 < sum(row.share_of_size for row in rows.values()) < 1


def test_size_counts_the_file_as_it_is(forms: Path) -> None:
    path = forms / "float.tflite"
    content = path.read_bytes()
    size = measure_size(path)
    assert size.tflite_bytes == len(content)
    assert gzip.decompress(gzip.compress(content, 9)) == content
    assert size.gzip_bytes == len(gzip.compress(content, 9, mtime=0))
    assert size.zstd_bytes == len(zstandard.ZstdCompressor(level=19).compress(content))
    assert size.parameters == 216 + 72 + 128 + 1536 + 480 + 24
    # Zero: 96 of point, 768 of hidden, and all the biases.
    assert size.nonzero_parameters == size.parameters - 96 - 768 - 24
    assert size.macs == sum(MACS.values())


def test_forms_are_ordered_by_size(forms: Path) -> None:
    sizes = {f: measure_size(forms / f"{f}.tflite") for f in ("float", "float16", "int8")}
    assert sizes["float"].tflite_bytes > sizes["float16"].tflite_bytes
    assert sizes["float16"].tflite_bytes > sizes["int8"].tflite_bytes
    assert sizes["int8"].nonzero_parameters <= sizes["int8"].parameters


def test_entropy_of_eight_values_is_at_most_three_bits(forms: Path) -> None:
    model = read_tflite(forms / "float.tflite")
    top = next(w.tensor for w in model.weights if w.layer == "top")
    _, counts = np.unique(top.values, return_counts=True)
    by_hand = sum(-c * math.log2(c / counts.sum()) for c in counts) / 8
    assert entropy_bytes(top) == pytest.approx(by_hand)
    assert entropy_bytes(top) <= top.size * 3 / 8


def test_the_rest_of_a_file_is_what_is_no_parameter(forms: Path) -> None:
    model = read_tflite(forms / "float.tflite")
    rest = model.without_parameters()
    assert len(rest) == model.bytes - sum(len(t.data or b"") for t in model.parameters)
    assert rest[4:8] == b"TFL3"
    assert b"Conv2D" in rest


def test_bounds_lie_below_the_file(forms: Path) -> None:
    for form in ("float", "int8", "sparse"):
        model = read_tflite(forms / f"{form}.tflite")
        found = bounds(model)
        assert 0 < found.entropy_bytes < model.bytes
        assert 0 < found.sparse_bytes <= model.bytes
    dense = read_tflite(forms / "float.tflite")
    saved = (96 * 4 - 128 / 8) + (768 * 4 - 1536 / 8)
    with_biases = dense.bytes - bounds(dense).sparse_bytes
    assert with_biases == pytest.approx(saved + 24 * 4 - 3, abs=2)
