"""Keep clustered weights few in an int8 file.

The converter gives each output channel a scale from its largest weight, so that one value of a clustered layer becomes
another integer in every channel, and the packed file loses what sharing had won. Values shared by the whole layer stay
one integer each with one scale for all channels; values shared before each channel's own scale stay the codes that
they are with just those scales.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from core.engine.report_layers import parse

Array = np.ndarray[Any, np.dtype[Any]]
FEW = 64
"""Values per layer up to which one scale for all channels serves: more values need the finer grids."""
_HIGHEST = 127
_LAST = {schema.BuiltinOperator.CONV_2D: 0, schema.BuiltinOperator.FULLY_CONNECTED: 0,
         schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3}
"""The axis of the output channels in an operator's weights."""


def with_shared_scales(
    content: bytes, reference: bytes, layers: Collection[str], grid: Mapping[str, Sequence[float]] | None = None
) -> bytes:
    """Return an integer file in which the values of clustered layers are as few as before.

    Parameters
    ----------
    content
        A ``.tflite`` file with int8 weights.
    reference
        The same model in float32, which holds the weights as clustered.
    layers
        Names of layers that get one scale; depthwise ones, and those that are not in int8, stay as they are.
    grid
        Layer name to the scale of each output channel, for layers whose weights are whole multiples of those.
    """
    grid = grid or {}
    exact: dict[int, tuple[Array, Sequence[float] | None]] = {}
    known = {w.name: w for w in parse(reference).weights}
    for weight in parse(content).weights:
        twin = known.get(weight.name)
        if twin is None or weight.tensor.type != "int8" or weight.tensor.shape != twin.tensor.shape:
            continue
        scales = next((grid[name] for name in grid if weight.is_of(name)), None)
        if scales is not None or any(weight.is_of(name) for name in layers):
            exact[weight.tensor.index] = twin.tensor.real(), scales
    if not exact:
        return content
    model: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    for operator in graph.operators:
        inputs, kind = list(operator.inputs), codes[operator.opcodeIndex]
        if kind not in _LAST or inputs[1] not in exact:
            continue
        values, scales = exact[inputs[1]]
        if scales is None and kind == schema.BuiltinOperator.DEPTHWISE_CONV_2D:
            continue
        tensors = [graph.tensors[i] if i >= 0 else None for i in inputs[:3]]
        count = values.shape[_LAST[kind]]
        one = np.full(count, float(np.abs(values).max()) / _HIGHEST)
        _rescale(model, tensors, values, one if scales is None else np.array(scales), _LAST[kind])
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _rescale(model: Any, tensors: list[Any], exact: Array, scales: Array, axis: int) -> None:
    """Give one operator's weights the scales [channels], and its bias those that follow from them."""
    entrance, weight, bias = (*tensors, None)[:3]
    scales = scales.astype(np.float32).astype(np.float64)
    if not (scales > 0).all():
        return
    old = np.asarray(weight.quantization.scale, np.float64)
    if old.size == 1:  # one scale per tensor: as many as there are channels need their axis
        if (scales != scales[0]).any():
            weight.quantization.quantizedDimension = axis
            weight.quantization.zeroPoint = np.zeros(scales.size, np.int64)
        else:
            scales = scales[:1]
    shape = [1] * exact.ndim
    shape[axis] = -1
    stored = np.clip(np.rint(exact / scales.reshape(shape)), -_HIGHEST, _HIGHEST).astype(np.int8)
    model.buffers[weight.buffer].data = stored.reshape(-1).view(np.uint8)
    weight.quantization.scale = scales.astype(np.float32)
    if bias is None:
        return
    kind: Any = np.int64 if bias.type == schema.TensorType.INT64 else np.int32
    values: Any = np.frombuffer(bytes(model.buffers[bias.buffer].data), kind)
    before = np.asarray(bias.quantization.scale, np.float64)
    after = float(np.asarray(entrance.quantization.scale)[0]) * scales
    limits = np.iinfo(kind)
    moved = np.clip(np.rint(values * before / after), limits.min, limits.max).astype(kind)
    model.buffers[bias.buffer].data = moved.view(np.uint8)
    bias.quantization.scale = after.astype(np.float32)
    if after.size > 1:
        bias.quantization.zeroPoint = np.zeros(after.size, np.int64)
