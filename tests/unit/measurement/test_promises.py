"""Promises checked on real files: kept ones pass, broken ones fail with the layer's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import PromiseError
from core.measurement import promises
from core.measurement.tflite_file import read_tflite

ZEROS = {"point": 0.75, "hidden": 0.5}
SCHEMES = {"float": "float32", "sparse": "float32", "float16": "float16", "dynamic": "dynamic",
           "int8": "int8", "int8-float-io": "int8"}


@pytest.mark.parametrize(("form", "scheme"), SCHEMES.items())
def test_kept_promises_pass_in_every_form(forms: Path, form: str, scheme: str) -> None:
    model = read_tflite(forms / f"{form}.tflite")
    checks = promises.check(
        model, ZEROS, ["hidden"], {"top": 8}, scheme=scheme,  # type: ignore[arg-type]
        io="int8" if form == "int8" else "float")
    promises.keep(checks)
    assert {"zeros", "two-four", "distinct", "weight-type"} <= {c.code for c in checks}


@pytest.mark.parametrize(
    ("arguments", "layer"),
    [
        ({"promised_zeros": {"stem": 0.5}}, "stem"),
        ({"promised_zeros": {"point": 0.76}}, "point"),
        ({"promised_two_four": ["stem"]}, "stem"),
        ({"promised_distinct": {"hidden": 16}}, "hidden"),
        ({"promised_distinct": {"top": 7}}, "top"),
        ({"scheme": "int8"}, "stem"),
        ({"scheme": "float16"}, "stem"),
        ({"promised_zeros": {"elsewhere": 0.1}}, "elsewhere"),
    ],
)
def test_broken_promises_name_the_layer(
    forms: Path, arguments: dict[str, object], layer: str
) -> None:
    model = read_tflite(forms / "float.tflite")
    with pytest.raises(PromiseError, match=layer):
        promises.keep(promises.check(model, **arguments))  # type: ignore[arg-type]


def test_a_fraction_that_does_not_divide_is_rounded_down(forms: Path) -> None:
    model = read_tflite(forms / "float.tflite")
    promises.keep(promises.zeros(model, {"point": 96.9 / 128}))
    with pytest.raises(PromiseError, match="96 zeros among its 128 weights"):
        promises.keep(promises.zeros(model, {"point": 97 / 128}))


def test_float_operators_are_named_where_int8_was_promised(forms: Path) -> None:
    checks = promises.integer_only(read_tflite(forms / "dynamic.tflite"), "int8")
    offenders = {c.parameters["operator"] for c in checks if not c.kept and c.code == "integer-only"}
    assert {"CONV_2D", "FULLY_CONNECTED", "SOFTMAX"} <= offenders


def test_the_border_of_an_int8_file_is_checked(forms: Path) -> None:
    model = read_tflite(forms / "int8-float-io.tflite")
    promises.keep(promises.integer_only(model, "int8", io="float"))
    broken = [c for c in promises.integer_only(model, "int8", io="int8") if not c.kept]
    assert {c.code for c in broken} == {"integer-only", "io-type"}


def test_shapes(forms: Path) -> None:
    model = read_tflite(forms / "float.tflite")
    promises.keep(promises.interface(model, (16, 16, 3), 5))
    with pytest.raises(PromiseError, match="promised"):
        promises.keep(promises.interface(model, (16, 16, 3), 6))


def test_parity() -> None:
    p = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    promises.keep(promises.parity(p, p + np.float32(1e-6), 1e-4, 1))
    for other in (p[::-1], p + np.float32(0.01), p[:1], p * np.float32(np.nan)):
        with pytest.raises(PromiseError, match="answers differently"):
            promises.keep(promises.parity(p, other, 1e-4, 1))
