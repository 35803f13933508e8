"""Mixed precision: 4 bits, 8 bits or float for each layer's weights, by what they cost and what they save."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from core.engine import edge_quantizer
from core.engine.bit_widths import FLOAT, LayerCost, choose, costs, put_on_grid
from core.engine.convert import to_tflite
from core.engine.methods.frame import Array, Context, Finding, Outcome, State, implements
from core.engine.reconstruction.fold import flatten
from core.engine.report_layers import compare_layers, own_name, parse
from core.errors import InputError, PromiseError
from core.locales import N_
from core.recipes.steps.mixed_precision import MixedPrecision

_REPORT_IMAGES = 16
_BYTE = 8


@implements("mixed_precision")
def apply(step: MixedPrecision, state: State, context: Context) -> Outcome:
    """Write ``state.model`` with as many bits in each layer as it is worth.

    Raises
    ------
    InputError
        If there are no calibration images, the budget is out of reach, or the tool refuses the model.
    PromiseError
        If the file has other bits than were chosen, or is over the budget.
    """
    n = len(context.calibration)
    if not n:
        raise InputError(N_("Quantizing the activations needs calibration photos, and there are none. Add some."))
    chosen = np.sort(context.rng(3).permutation(n)[: step.images])
    calibration: Array = np.asarray(context.calibration[chosen], np.float32)
    model = flatten(state.model)
    layers = costs(model, context)
    allowed = step.budget * sum(layer.bytes(FLOAT) for layer in layers)
    bits = choose(layers, allowed, _BYTE if step.arithmetic == "int8" else FLOAT)
    taken = sum(layer.bytes(bits[layer.name]) for layer in layers)
    if taken > allowed:
        raise InputError(
            N_("The weights take {taken} bytes at least, and the budget allows {allowed}. Allow more."),
            taken=taken, allowed=int(allowed))
    context.progress(0.7, N_("Quantizing"))
    reference = to_tflite(model, scheme="float32")
    put_on_grid(model, bits)
    content = to_tflite(model, scheme="float32")
    context.check_cancelled()
    names = [layer.name for layer in model.layers if layer.weights]
    outputs = {own_name(weight, names): weight.name for weight in parse(content).weights}
    wanted = {outputs[name]: width for name, width in bits.items() if name in outputs}
    made = edge_quantizer.quantize_mixed(content, wanted, step.arithmetic == "int8", calibration)
    _check(made, bits, names, allowed)
    context.progress(0.9, N_("Comparing layer by layer"))
    in_float = [name for name, width in bits.items() if width == FLOAT]
    rows = compare_layers(reference, made, calibration[:_REPORT_IMAGES], names)
    promise = state.promise.also(
        scheme=step.scheme, float_layers=tuple(sorted({*in_float, *(outputs[n] for n in in_float if n in outputs)})))
    details = {"engine": "ai-edge-quantizer", "layers": rows, "kept_in_float": in_float,
               "bits": _bits(layers, bits), "weight_bytes": taken, "allowed_bytes": int(allowed),
               "calibration_images": len(calibration)}
    return Outcome(model, promise=promise, details=details, findings=_findings(bits, taken, allowed), artifact=made)


def _check(content: bytes, bits: dict[str, int], names: Collection[str], allowed: float) -> None:
    """Refuse a file whose layers have other types than were chosen, or whose weights are over the budget."""
    types = {4: "int4", _BYTE: "int8", FLOAT: "float32"}
    total = 0
    for weight in parse(content).weights:
        name = own_name(weight, names)
        total += weight.tensor.stored_bytes + (4 * weight.tensor.scale.size if weight.tensor.type != "float32" else 0)
        if name in bits and weight.tensor.type != types[bits[name]]:
            raise PromiseError(
                N_("The weights of layer '{layer}' are {found} in the converted file; {expected} was promised."),
                layer=name, found=weight.tensor.type, expected=types[bits[name]])
    if total > allowed:
        raise PromiseError(N_("The weights take {taken} bytes in the converted file; at most {allowed} were "
                              "promised."), taken=total, allowed=int(allowed))


def _bits(layers: list[LayerCost], bits: dict[str, int]) -> list[dict[str, Any]]:
    return [{"layer": layer.name, "bits": bits[layer.name], "weights": layer.weights,
             "cost": {str(width): value for width, value in layer.cost.items()}} for layer in layers]


def _findings(bits: dict[str, int], taken: int, allowed: float) -> tuple[Finding, ...]:
    counts = {width: sum(b == width for b in bits.values()) for width in (4, _BYTE, FLOAT)}
    found = [Finding("bits-chosen", N_("{four} layers have 4 bits, {eight} have 8, {floats} stay in float; the weights "
                                       "take {taken} bytes of {allowed} allowed."),
                     {"four": counts[4], "eight": counts[_BYTE], "floats": counts[FLOAT], "taken": taken,
                      "allowed": int(allowed)})]
    if not counts[4]:
        found.append(Finding("budget-not-needed", N_("The budget is wide enough without 4 bits anywhere: the step is "
                                                     "the same as 'quantize'."), {}, "warning"))
    return tuple(found)
