"""XNNPACK's rules on real graphs: the sparse file is eligible, each change names its reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.measurement.sparse_speed import machine_admits, xnnpack_sparse
from core.measurement.tflite_file import read_tflite


def test_the_sparse_file_is_eligible_where_the_processor_admits_it(forms: Path) -> None:
    found = xnnpack_sparse(read_tflite(forms / "sparse.tflite"), here=True)
    assert found.eligible
    assert found.here
    assert found.reasons == []
    assert found.sparse_layers == ["point"]


def test_avx_is_the_reason_on_this_kind_of_machine(forms: Path) -> None:
    found = xnnpack_sparse(read_tflite(forms / "sparse.tflite"), here=False)
    assert found.eligible
    assert not found.here
    assert "AVX" in found.reasons[0].message
    assert isinstance(machine_admits(), bool)


@pytest.mark.parametrize(
    ("form", "reason"),
    [("float", "stored sparse"), ("int8", "quantized")],
)
def test_other_forms_are_refused_with_the_reason(forms: Path, form: str, reason: str) -> None:
    found = xnnpack_sparse(read_tflite(forms / f"{form}.tflite"), here=True)
    assert not found.eligible
    assert found.sparse_layers == []
    assert any(reason in r.message for r in found.reasons)


def test_same_padding_with_a_stride_is_refused(forms: Path) -> None:
    model = read_tflite(forms / "sparse.tflite")
    operators = [
        replace(o, options=o.options | {"padding": 0}) if o.options.get("strideH") == 2 else o
        for o in model.operators
    ]
    found = xnnpack_sparse(replace(model, operators=tuple(operators)), here=True)
    assert any("begin with" in r.message for r in found.reasons)


def test_an_operator_between_is_named(forms: Path) -> None:
    model = read_tflite(forms / "sparse.tflite")
    operators = [
        replace(o, name="MAX_POOL_2D") if o.name == "DEPTHWISE_CONV_2D" else o
        for o in model.operators
    ]
    found = xnnpack_sparse(replace(model, operators=tuple(operators)), here=True)
    assert [r.parameters["operator"] for r in found.reasons if r.parameters] == ["MAX_POOL_2D"]
