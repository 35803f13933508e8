"""ai-edge-quantizer, which works on a finished float ``.tflite`` file."""

from __future__ import annotations

import contextlib
import io as streams
import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from ai_edge_quantizer import qtyping, quantizer, recipe, recipe_manager

from core.engine.report_layers import parse
from core.errors import InputError
from core.locales import N_

Array = np.ndarray[Any, np.dtype[Any]]


def _four_bits() -> Any:
    """Return weights of four bits where LiteRT has kernels for them, and eight in depthwise layers.

    OCTAV chooses where each channel's grid ends by its error (Sakr et al., 2022, arXiv:2206.06501).
    """
    made = recipe_manager.RecipeManager()
    names = qtyping.TFLOperationName
    made.add_weight_only_config(".*", names.ALL_SUPPORTED, num_bits=8)
    for operator in (names.CONV_2D, names.FULLY_CONNECTED):
        made.add_weight_only_config(".*", operator, num_bits=4, algorithm_key=recipe.AlgorithmName.OCTAV)
    return made.get_quantization_recipe()


_RECIPES = {
    "int8": recipe.static_wi8_ai8,
    "dynamic": recipe.weight_only_wi8_afp32,
    "int4": _four_bits,
}
SIGNATURE = "serving_default"
_NOTHING = recipe.AlgorithmName.NO_QUANTIZE
_FLOAT, _WHOLE = 32, 8


def quantize(
    content: bytes, scheme: str, calibration: Array, keep_float: Collection[str] = (),
    io: str = "float",
) -> bytes:
    """Return ``content`` in smaller numbers.

    Parameters
    ----------
    content
        A float32 ``.tflite`` file.
    scheme
        "int8" (weights per channel and activations), "dynamic" (int8 weights that are turned to float again
        before computing) or "int4" (the same with four bits).
    calibration
        Prepared images, float32 [n, h, w, c]; used by "int8" only.
    keep_float
        Names of the outputs of layers that stay in float, as the file has them.
    io
        "float" or "int8": the type of input and output, for "int8" only.

    Raises
    ------
    InputError
        If the tool refuses the model, or leaves a layer in float without having been asked to.
    """
    worker = quantizer.Quantizer(bytearray(content), _RECIPES[scheme]())
    if scheme == "int8" and io == "float":
        for border in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
            worker.update_quantization_recipe(
                ".*", border, algorithm_key=recipe.AlgorithmName.NO_QUANTIZE)
    for layer in keep_float:
        worker.update_quantization_recipe(
            f"^{re.escape(layer)}(;.*)?$", qtyping.TFLOperationName.ALL_SUPPORTED,
            algorithm_key=recipe.AlgorithmName.NO_QUANTIZE)
    return _carried_out(worker, content, scheme, calibration, keep_float)


def quantize_mixed(content: bytes, bits: Mapping[str, int], integer: bool, calibration: Array) -> bytes:
    """Return ``content`` with a number of bits for each layer's weights.

    Parameters
    ----------
    content
        A float32 ``.tflite`` file.
    bits
        Name of a layer's output, as the file has it, to 4, 8 or 32 (float); other layers have 8.
    integer
        Whether activations are int8 and everything computes in int8; then no layer can have 32. Else weights are
        turned to float before computing.
    calibration
        Prepared images, float32 [n, h, w, c]; used with ``integer`` only.

    Raises
    ------
    InputError
        If the tool refuses the model, or leaves a layer in float without having been asked to.
    """
    names = qtyping.TFLOperationName
    worker = quantizer.Quantizer(bytearray(content), recipe.static_wi8_ai8() if integer
                                 else recipe.weight_only_wi8_afp32())
    for layer, width in bits.items():
        pattern = f"^{re.escape(layer)}(;.*)?$"
        if width == _FLOAT:
            worker.update_quantization_recipe(pattern, names.ALL_SUPPORTED, algorithm_key=_NOTHING)
        elif width < _WHOLE:
            for operator in (names.CONV_2D, names.FULLY_CONNECTED):
                if integer:
                    worker.add_static_config(pattern, operator, activation_num_bits=_WHOLE, weight_num_bits=width)
                else:
                    worker.add_weight_only_config(pattern, operator, num_bits=width)
    if integer:
        for border in (names.INPUT, names.OUTPUT):
            worker.update_quantization_recipe(".*", border, algorithm_key=_NOTHING)
    kept = [layer for layer, width in bits.items() if width == _FLOAT]
    return _carried_out(worker, content, "int4", calibration, kept)


def _carried_out(
    worker: Any, content: bytes, scheme: str, calibration: Array, keep_float: Collection[str]
) -> bytes:
    try:
        with contextlib.redirect_stdout(streams.StringIO()):
            found = None
            if worker.need_calibration:
                entrance = _entrance(content)
                found = worker.calibrate(
                    {SIGNATURE: [{entrance: image[np.newaxis]} for image in calibration]})
            result = bytes(worker.quantize(found).quantized_model)
    except (ValueError, RuntimeError, KeyError) as error:
        raise InputError(
            N_("ai-edge-quantizer cannot make {scheme} of this model: {reason}. Choose the converter."),
            scheme=scheme, reason=(str(error).splitlines() or [""])[0][:200]) from error
    _nothing_skipped(result, keep_float)
    return result


def _entrance(content: bytes) -> str:
    from ai_edge_litert.interpreter import Interpreter

    signatures = Interpreter(model_content=content).get_signature_list()
    return str(signatures[SIGNATURE]["inputs"][0])


def _nothing_skipped(content: bytes, keep_float: Collection[str]) -> None:
    """Refuse a file in which a layer was silently left in float: some recipes skip what they cannot do."""
    for weight in parse(content).weights:
        if weight.tensor.type == "float32" and not any(weight.is_of(n) for n in keep_float):
            raise InputError(
                N_("ai-edge-quantizer left the layer '{layer}' in float without a word. Choose the converter."),
                layer=weight.layer)
