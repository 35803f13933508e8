"""Keep clustered weights few in an int8 file: one scale for all channels of a layer.

The converter gives each output channel a scale of its own, so that one value of a clustered layer becomes another
integer in every channel, and the packed file loses what sharing had won. With one scale it stays one integer.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from core.engine.report_layers import parse

Array = np.ndarray[Any, np.dtype[Any]]
FEW = 64
"""Values per layer up to which one scale for all channels serves: more values need the finer grids."""
_HIGHEST = 127
_OPERATORS = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED)


def with_shared_scales(content: bytes, reference: bytes, layers: Collection[str]) -> bytes:
    """Return an integer file with one scale for each clustered layer's weights.

    Parameters
    ----------
    content
        A ``.tflite`` file with int8 weights.
    reference
        The same model in float32, which holds the weights as clustered.
    layers
        Names of clustered layers; depthwise ones, and those that are not in int8, stay as they are.
    """
    exact = {w.name: w.tensor.real() for w in parse(reference).weights if any(w.is_of(n) for n in layers)}
    wanted = {w.tensor.index: exact[w.name] for w in parse(content).weights
              if w.name in exact and w.tensor.type == "int8" and w.tensor.shape == exact[w.name].shape}
    if not wanted:
        return content
    model: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    for operator in graph.operators:
        inputs = list(operator.inputs)
        if codes[operator.opcodeIndex] in _OPERATORS and inputs[1] in wanted:
            tensors = [graph.tensors[i] if i >= 0 else None for i in inputs[:3]]
            _share(model, tensors, wanted[inputs[1]])
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _share(model: Any, tensors: list[Any], exact: Array) -> None:
    """Give one operator's weights one scale, and its bias the scale that follows from it."""
    entrance, weight, bias = (*tensors, None)[:3]
    old = np.asarray(weight.quantization.scale, np.float64)
    scale = float(np.abs(exact).max()) / _HIGHEST
    if scale == 0:
        return
    stored = np.clip(np.rint(exact / scale), -_HIGHEST, _HIGHEST).astype(np.int8)
    model.buffers[weight.buffer].data = stored.reshape(-1).view(np.uint8)
    weight.quantization.scale = np.full(old.size, scale, np.float32)
    if bias is None:
        return
    kind: Any = np.int64 if bias.type == schema.TensorType.INT64 else np.int32
    values: Any = np.frombuffer(bytes(model.buffers[bias.buffer].data), kind)
    before = np.asarray(bias.quantization.scale, np.float64)
    after = float(np.asarray(entrance.quantization.scale)[0]) * scale
    limits = np.iinfo(kind)
    moved = np.clip(np.rint(values * before / after), limits.min, limits.max).astype(kind)
    model.buffers[bias.buffer].data = moved.view(np.uint8)
    bias.quantization.scale = np.full(before.size, after, np.float32)
