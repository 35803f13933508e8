"""Quantization makes the types it says, reports each layer, and keeps the worst ones in float on request."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from core.engine import edge_quantizer
from core.engine.artifact import answers, check_answers, check_promise
from core.engine.convert import to_tflite
from core.engine.methods.frame import Promise, kernels, method_for
from core.engine.probabilities import predict
from core.engine.report_layers import compare_layers, decibels, parse
from core.errors import InputError, PromiseError
from core.recipes import read_step
from tests.unit.engine.digits_case import accuracy, context, images, original, state


@cache
def reference() -> bytes:
    return to_tflite(original(), scheme="float32")


def quantize(**fields):
    step = read_step({"step": "quantize", "images": 32, **fields})
    return method_for(step)(step, replace(state(), reference=reference()), context(64))


@pytest.mark.parametrize(("fields", "types"), [
    ({"scheme": "dynamic"}, {"int8"}),
    ({"scheme": "int4"}, {"int4"}),
    ({"engine": "ai-edge-quantizer"}, {"int8"}),
    ({"engine": "ai-edge-quantizer", "io": "int8"}, {"int8"}),
    ({"io": "int8"}, {"int8"}),
    ({"scheme": "int16x8"}, {"int8"}),
    ({"scheme": "float16"}, {"float16"}),
])
def test_the_file_has_the_promised_types_and_still_classifies(fields, types):
    outcome = quantize(**fields)
    check_promise(outcome.artifact, outcome.promise)
    assert {w.tensor.type for w in parse(outcome.artifact).weights} == types
    assert accuracy(answers(outcome.artifact, images()["test"][0])) > 0.95
    rows = outcome.details["layers"]
    assert [row["layer"] for row in rows] == list(kernels(original()))
    # None is no error at all: the weights that ship are already rounded to float16.
    assert all(row["weight_db"] is None or row["weight_db"] > 10 for row in rows)
    assert all(row["output_db"] is None or row["output_db"] > 5 for row in rows)


def test_the_worst_layer_stays_in_float_with_the_converter():
    outcome = quantize(keep_float=1)
    check_promise(outcome.artifact, outcome.promise)
    kept = outcome.details["kept_in_float"]
    types = {w.tensor.name.split("/")[1]: w.tensor.type for w in parse(outcome.artifact).weights}
    assert [name for name, kind in types.items() if kind == "float32"] == kept
    errors = [row["error"] for row in outcome.details["ranking"]]
    assert errors == sorted(errors, reverse=True)
    assert outcome.details["ranking"][0]["layer"] == kept[0]


def test_the_worst_layers_stay_in_float_with_weights_of_four_bits():
    outcome = quantize(scheme="int4", keep_float=2)
    check_promise(outcome.artifact, outcome.promise)
    assert sum(w.tensor.type == "float32" for w in parse(outcome.artifact).weights) == 2


def test_a_layer_that_is_silently_left_in_float_is_refused(monkeypatch):
    monkeypatch.setitem(edge_quantizer._RECIPES, "int8", lambda: [])
    with pytest.raises(InputError, match="without a word"):
        edge_quantizer.quantize(reference(), "int8", images()["train"][0][:8])


def test_a_file_that_is_not_int8_breaks_the_promise():
    with pytest.raises(PromiseError, match="float32"):
        check_promise(reference(), Promise(scheme="int8"))


def test_a_file_that_answers_otherwise_breaks_the_promise():
    x = images()["train"][0][:8]
    wrong = predict(original(), x[::-1])
    with pytest.raises(PromiseError, match="differently"):
        check_answers(reference(), Promise(), wrong, x)


def test_a_file_compared_with_itself_has_no_error():
    rows = compare_layers(reference(), reference(), images()["train"][0][:2], list(kernels(original())))
    assert [row["weights"] for row in rows] == [v.numpy().size for v in kernels(original()).values()]
    assert all(row["weight_db"] is None and row["output_db"] is None for row in rows)


def test_decibels():
    assert decibels(np.array([10.0]), np.array([9.0])) == pytest.approx(20.0)
    assert decibels(np.array([1.0]), np.array([1.0, 2.0])) is None
