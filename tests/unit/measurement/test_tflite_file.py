"""Reading real files of every form against the Keras weights they came from, and damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.measurement.graph import TfliteModel, Weight
from core.measurement.tensor_data import Sparsity, densify, unpack
from core.measurement.tflite_file import read_tflite

LAYERS = ["stem", "depth", "point", "hidden", "top"]


def as_keras(weight: Weight) -> np.ndarray:
    values = weight.tensor.real()
    return values.T if values.ndim == 2 else values.transpose(1, 2, 3, 0)


@pytest.mark.parametrize(
    ("form", "tolerance"),
    [("float", 0), ("sparse", 0), ("float16", 2e-4), ("dynamic", 2e-3), ("int8", 2e-3),
     ("int8-float-io", 2e-3)],
)
def test_weights_are_those_of_keras(
    forms: Path, kernels: dict[str, np.ndarray], form: str, tolerance: float
) -> None:
    model = read_tflite(forms / f"{form}.tflite")
    assert [w.layer for w in model.weights] == LAYERS
    for weight in model.weights:
        kernel = kernels[weight.layer]
        found = as_keras(weight)
        if weight.layer == "depth":
            found = found.transpose(0, 1, 3, 2).reshape(kernel.shape[0], kernel.shape[1], 1, -1)
            kernel = kernel.transpose(0, 1, 3, 2)
        assert np.abs(found.reshape(kernel.shape) - kernel).max() <= tolerance
        assert weight.is_of(weight.layer)
        assert not weight.is_of("no-such-layer")


def test_types_quantisation_and_options(forms: Path) -> None:
    model = read_tflite(forms / "int8.tflite")
    by_layer = {w.layer: w for w in model.weights}
    assert {w.tensor.type for w in model.weights} == {"int8"}
    assert by_layer["hidden"].tensor.scale.size == 96
    assert by_layer["depth"].tensor.axis == 3
    assert model.tensors[model.inputs[0]].type == "int8"
    assert by_layer["stem"].operator.options["strideH"] == 2
    assert by_layer["stem"].bias is not None
    assert by_layer["stem"].bias.type == "int32"


def test_sparse_tensors_are_stored_smaller(forms: Path) -> None:
    model = read_tflite(forms / "sparse.tflite")
    point = next(w for w in model.weights if w.layer == "point").tensor
    assert point.sparsity is not None
    assert point.stored_bytes < point.size * 4
    assert point.nonzero() == point.size // 4


def test_parameters_leave_shapes_and_axes_out(forms: Path, kernels: dict[str, np.ndarray]) -> None:
    model = read_tflite(forms / "float.tflite")
    in_kernels = sum(k.size for k in kernels.values())
    in_biases = 8 + 16  # the stem and depth biases are both zero and share one tensor of eight
    assert sum(t.size for t in model.parameters) == in_kernels + in_biases


@given(st.lists(st.integers(-8, 7), min_size=1, max_size=33))
def test_int4_comes_out_as_it_went_in(values: list[int]) -> None:
    nibbles = [v & 0xF for v in values] + [0]
    packed = bytes(nibbles[i] | nibbles[i + 1] << 4 for i in range(0, len(values), 2))
    assert unpack(memoryview(packed), "int4", len(values)).tolist() == values


def test_int2_and_bfloat16() -> None:
    assert unpack(memoryview(bytes([0b11100100])), "int2", 4).tolist() == [0, 1, -2, -1]
    halves = (np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16).astype("<u2")
    assert unpack(memoryview(halves.tobytes()), "bfloat16", 2).tolist() == [1.5, -2.0]


def test_blocks_are_densified() -> None:
    # A 4 x 4 matrix in 2 x 2 blocks of which the upper right and the lower left are stored.
    blocks = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)
    sparsity = Sparsity(
        order=(0, 1, 2, 3), block_map=(0, 1),
        dimensions=((2, None, None), (0, np.array([0, 1, 2]), np.array([1, 0])),
                    (2, None, None), (2, None, None)),
    )
    dense = densify(memoryview(blocks.tobytes()), "float32", (4, 4), sparsity)
    assert dense.tolist() == [[0, 0, 1, 2], [0, 0, 3, 4], [5, 6, 0, 0], [7, 8, 0, 0]]


def unpack_everything(model: TfliteModel) -> None:
    for tensor in model.tensors:
        if tensor.constant:
            assert tensor.values.shape == tensor.shape


@pytest.mark.parametrize("form", ["float", "sparse", "int8"])
def test_damaged_files_are_refused_or_read(forms: Path, tmp_path: Path, form: str) -> None:
    content = (forms / f"{form}.tflite").read_bytes()
    rng = np.random.default_rng(7)
    refused = 0
    for i in range(150):
        mutant = bytearray(content)
        if i % 3 == 0:
            mutant = mutant[: int(rng.integers(8, len(content)))]
        for _ in range(int(rng.integers(1, 12))):
            mutant[int(rng.integers(8, len(mutant)))] = int(rng.integers(256))
        path = tmp_path / "mutant.tflite"
        path.write_bytes(mutant)
        try:
            unpack_everything(read_tflite(path))
        except InputError:
            refused += 1
    assert refused > 30


@pytest.mark.parametrize("content", [b"", b"TFL3", b"not a model at all....", b"\0\0\0\0TFL3" * 9])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tflite"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.tflite"):
        read_tflite(path)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_tflite(tmp_path / "none.tflite")
