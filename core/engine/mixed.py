"""Full int8 with the layers of largest quantization error kept in float.

The error of a layer is that of TFLite's quantization debugger: each operator is run in int8 and in float on
the same inputs; its root mean square difference in units of the output's step is near 0.29 (that of plain
rounding) when nothing is wrong.
"""

from __future__ import annotations

import contextlib
import io as streams
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
import tf_keras

from core.engine import edge_quantizer
from core.engine.report_layers import compare_layers, own_name, parse

Array = np.ndarray[Any, np.dtype[Any]]
_DEBUG_IMAGES = 16


def ranking(
    model: tf_keras.Model, reference: bytes, scheme: str, calibration: Array, names: Collection[str]
) -> list[dict[str, Any]]:
    """Return the layers with weights, the worst quantized first.

    Each row has ``layer``, ``error`` (larger is worse), ``output``, the name of the layer's output in the
    file, and ``tensor``, the one by which the converter knows it. For weight-only schemes the error is that
    of the weights. ``names`` are the model's own names of its layers.
    """
    if scheme == "int8":
        return _by_debugger(model, reference, calibration, names)
    trial = edge_quantizer.quantize(reference, scheme, calibration)
    rows = compare_layers(reference, trial, calibration[:1], names)
    found = [{"layer": row["layer"], "output": row["output"], "tensor": row["output"],
              "error": -float(row["weight_db"])}
             for row in rows if row["weight_db"] is not None]
    return sorted(found, key=lambda row: -float(str(row["error"])))


def _by_debugger(
    model: tf_keras.Model, reference: bytes, calibration: Array, names: Collection[str]
) -> list[dict[str, Any]]:
    debugger = _debugger(model, calibration, "float", ())
    with contextlib.redirect_stderr(streams.StringIO()):
        debugger.run()
    text = streams.StringIO()
    debugger.layer_statistics_dump(text)
    table = pd.read_csv(streams.StringIO(text.getvalue()))
    weighted = {own_name(w, names): w.name for w in parse(reference).weights}
    rows = []
    for row in table.to_dict("records"):
        parts = str(row["tensor_name"]).replace(";", "/").split("/")
        layer = next((part for part in parts if part in weighted), "")
        if layer and row["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            step = float(row["scale"]) or 1.0
            rows.append({"layer": layer, "output": weighted[layer], "tensor": str(row["tensor_name"]),
                         "error": float(np.sqrt(row["mean_squared_error"])) / step})
    return sorted(rows, key=lambda row: -float(str(row["error"])))


def convert(
    model: tf_keras.Model, calibration: Array, kept: Sequence[dict[str, Any]], io: str
) -> bytes:
    """Return an int8 file in which the layers of ``kept``, rows of :func:`ranking`, compute in float."""
    debugger = _debugger(model, calibration, io, [str(row["tensor"]) for row in kept])
    return bytes(debugger.get_nondebug_quantized_model())


def _debugger(
    model: tf_keras.Model, calibration: Array, io: str, denied: Sequence[str]
) -> Any:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if io == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8

    def all_images() -> Iterator[list[Array]]:
        for image in calibration:
            yield [image[np.newaxis]]

    def few_images() -> Iterator[list[Array]]:
        for image in calibration[:_DEBUG_IMAGES]:
            yield [image[np.newaxis]]

    converter.representative_dataset = all_images
    tool = tf.lite.experimental
    return tool.QuantizationDebugger(
        converter=converter, debug_dataset=few_images,
        debug_options=tool.QuantizationDebugOptions(denylisted_nodes=list(denied)))
