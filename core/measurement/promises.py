"""What the steps of a recipe promised, checked on the ``.tflite`` file that ships."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from core.errors import PromiseError
from core.locales import N_
from core.measurement.calibration import Probabilities
from core.measurement.graph import FLOATS, TfliteModel, Weight
from core.measurement.tensor_data import Array

Scheme = Literal["float32", "float16", "dynamic", "int8", "int16x8", "int4", "int4x8"]

_ACTIVATIONS = {"int8": "int8", "int16x8": "int16", "int4x8": "int8"}
_BOUNDARY = frozenset({"QUANTIZE", "DEQUANTIZE"})
# TFLite's converter leaves smaller weights in float under dynamic range.
_SMALLEST_DYNAMIC = 1024


@dataclass(frozen=True)
class Check:
    """One promise on one layer: a template marked with ``N_``, its values, and whether it held."""

    code: str
    layer: str
    kept: bool
    message: str
    parameters: Mapping[str, object] = field(default_factory=dict)


def _missing(code: str, layer: str) -> Check:
    return Check(
        code, layer, False,
        N_("Layer '{layer}' is not in the converted file, so what was promised of it cannot be "
           "checked. Leave it out of the recipe."),
        {"layer": layer},
    )


def _each(
    model: TfliteModel, code: str, names: Collection[str], one: Callable[[str, Weight], Check]
) -> list[Check]:
    found = []
    for name in names:
        weights = [weight for weight in model.weights if weight.is_of(name)]
        found += [one(name, weight) for weight in weights] or [_missing(code, name)]
    return found


def zeros(model: TfliteModel, promised: Mapping[str, float]) -> list[Check]:
    """Check that each layer holds at least the promised fraction of zeros.

    The fraction is turned into a count, rounded down, so that a layer whose size does not divide
    evenly is not blamed. A quantized zero is the zero point.
    """

    def one(name: str, weight: Weight) -> Check:
        size = weight.tensor.size
        expected = math.floor(promised[name] * size + 1e-6)
        found = size - weight.tensor.nonzero()
        return Check(
            "zeros", name, found >= expected,
            N_("Layer '{layer}' has {found} zeros among its {size} weights in the converted file; "
               "{expected} were promised."),
            {"layer": name, "found": found, "size": size, "expected": expected},
        )

    return _each(model, "zeros", promised, one)


def two_four(model: TfliteModel, names: Collection[str]) -> list[Check]:
    """Check that every four neighbouring weights along the input channels hold two zeros.

    TFLite stores the input channels of a convolution ([out, h, w, in]) and of a dense layer
    ([out, in]) last: that is the axis that 2:4 hardware reads (Mishra et al., "Accelerating Sparse
    Deep Neural Networks", 2021). A last group of fewer than four holds at most two weights too.
    """

    def one(name: str, weight: Weight) -> Check:
        live = weight.tensor.values != weight.tensor.zero.astype(weight.tensor.values.dtype)
        channels = live.shape[-1] if live.ndim else 0
        padded = np.zeros((live.size // max(1, channels), -(-channels // 4) * 4), np.bool_)
        padded[:, :channels] = live.reshape(-1, channels)
        broken = int((padded.reshape(-1, 4).sum(axis=1) > 2).sum())
        return Check(
            "two-four", name, broken == 0,
            N_("Layer '{layer}' has {broken} groups of four weights with more than two that are not "
               "zero; 2:4 was promised."),
            {"layer": name, "broken": broken},
        )

    return _each(model, "two-four", names, one)


def distinct_values(weight: Weight) -> int:
    """Return how many different values the weights take: within a channel where scales are."""
    tensor = weight.tensor
    values: Array = tensor.values
    if tensor.scale.size > 1:
        channels = np.moveaxis(values, tensor.axis, 0).reshape(tensor.scale.size, -1)
        return max(int(np.unique(channel).size) for channel in channels)
    return int(np.unique(values).size)


def distinct(model: TfliteModel, promised: Mapping[str, int]) -> list[Check]:
    """Check that each layer takes at most the promised number of distinct values."""

    def one(name: str, weight: Weight) -> Check:
        found = distinct_values(weight)
        return Check(
            "distinct", name, found <= promised[name],
            N_("Layer '{layer}' takes {found} distinct values in the converted file; at most "
               "{expected} were promised."),
            {"layer": name, "found": found, "expected": promised[name]},
        )

    return _each(model, "distinct", promised, one)


def weight_types(
    model: TfliteModel, scheme: Scheme, float_layers: Collection[str] = ()
) -> list[Check]:
    """Check the stored type of every layer's weights against the scheme of quantisation.

    Layers in ``float_layers`` may be anything; with "dynamic" those under 1,024 weights stay float.
    """
    allowed = {
        "float32": {"float32"}, "float16": {"float16"}, "dynamic": {"int8"},
        "int8": {"int8"}, "int16x8": {"int8"}, "int4": {"int4", "int8"},
        "int4x8": {"int4", "int8"},
    }[scheme]
    found = []
    for weight in model.weights:
        if any(weight.is_of(name) for name in float_layers):
            continue
        small = scheme == "dynamic" and weight.tensor.size < _SMALLEST_DYNAMIC
        found.append(Check(
            "weight-type", weight.layer, weight.tensor.type in allowed or small,
            N_("The weights of layer '{layer}' are {found} in the converted file; {expected} was "
               "promised."),
            {"layer": weight.layer, "found": weight.tensor.type, "expected": scheme},
        ))
    return found


def integer_only(
    model: TfliteModel, scheme: Scheme, float_layers: Collection[str] = (), io: str = "float"
) -> list[Check]:
    """Check that no operator computes in float where "int8" or "int16x8" was promised.

    With ``io`` "float" the QUANTIZE at the entrance and the DEQUANTIZE at the exit are expected.
    Layers in ``float_layers``, and the conversions around them, are allowed.
    """
    activation = _ACTIVATIONS[scheme]
    found = []
    for operator in model.operators:
        name = model.tensors[operator.outputs[0]].name if operator.outputs else operator.name
        touched = [i for i in (*operator.inputs, *operator.outputs) if i >= 0]
        floats = [i for i in touched if model.tensors[i].type in FLOATS]
        kept = not floats
        if floats and operator.name in _BOUNDARY:
            at_border = set(floats) <= {*model.inputs, *model.outputs}
            kept = bool(float_layers) or (io == "float" and at_border)
        elif floats and float_layers:
            kept = any(_belongs(name, layer) for layer in float_layers)
        found.append(Check(
            "integer-only", name, kept,
            N_("Operator {operator} ('{layer}') computes in float in the converted file; {expected} "
               "was promised."),
            {"operator": operator.name, "layer": name, "expected": scheme},
        ))
    expected = "float32" if io == "float" else activation
    for index in (*model.inputs, *model.outputs):
        tensor = model.tensors[index]
        found.append(Check(
            "io-type", tensor.name, tensor.type == expected,
            N_("'{layer}' is {found} at the model's border in the converted file; {expected} was "
               "promised."),
            {"layer": tensor.name, "found": tensor.type, "expected": expected},
        ))
    return found


def _belongs(name: str, layer: str) -> bool:
    return layer in name.replace(";", "/").split("/")


def interface(model: TfliteModel, shape: tuple[int, ...], classes: int) -> list[Check]:
    """Check that the file takes images of ``shape`` [h, w, c] and answers with ``classes`` values."""
    checks = []
    for index, expected in ((model.inputs[0], tuple(shape)), (model.outputs[0], (classes,))):
        tensor = model.tensors[index]
        checks.append(Check(
            "shape", tensor.name, tensor.shape[1:] == expected,
            N_("'{layer}' has shape {found} in the converted file; {expected} was promised."),
            {"layer": tensor.name, "found": str(tensor.shape[1:]), "expected": str(expected)},
        ))
    return checks


def parity(
    reference: Probabilities, found: Probabilities, tolerance: float, agreement: float
) -> list[Check]:
    """Check that the file answers as the model it was made from, on probabilities [n, k].

    ``tolerance`` bounds the largest difference of one probability, ``agreement`` the share of
    images with the same class. Pass a tolerance of 1 where only the class is promised.
    """
    same_shape = reference.shape == found.shape
    largest, same = 1.0, 0.0
    if same_shape and reference.size:
        largest = float(np.abs(reference.astype(np.float64) - found).max())
        same = float((reference.argmax(axis=1) == found.argmax(axis=1)).mean())
    if not math.isfinite(largest):
        largest = 1.0
    kept = same_shape and largest <= tolerance and same >= agreement
    return [Check(
        "parity", "output", kept,
        N_("The converted file answers differently from the model it was made from: {same:.1%} of "
           "the images keep their class, probabilities differ by up to {largest:.4f}."),
        {"layer": "output", "same": same, "largest": largest},
    )]


def check(
    model: TfliteModel,
    promised_zeros: Mapping[str, float] | None = None,
    promised_two_four: Collection[str] = (),
    promised_distinct: Mapping[str, int] | None = None,
    scheme: Scheme = "float32",
    io: str = "float",
    float_layers: Collection[str] = (),
) -> list[Check]:
    """Return every check of what a recipe's steps promised; ``keep`` turns a broken one to an error.

    The parameters carry what the engine's methods state: layer to fraction of zeros, layers in 2:4,
    layer to number of distinct values, the scheme of quantisation, "float" or "int8" input and
    output, and the layers left in float.
    """
    found = [
        *zeros(model, promised_zeros or {}),
        *two_four(model, promised_two_four),
        *distinct(model, promised_distinct or {}),
        *weight_types(model, scheme, float_layers),
    ]
    if scheme in _ACTIVATIONS:
        found += integer_only(model, scheme, float_layers, io)
    return found


def keep(checks: Collection[Check]) -> None:
    """Fail on the first broken promise.

    Raises
    ------
    PromiseError
        Naming the layer, what was found and what was promised.
    """
    for found in checks:
        if not found.kept:
            raise PromiseError(found.message, **found.parameters)
