"""Which layers are linear maps of patches, and their kernels as matrices.

A dense layer, a convolution and a depthwise convolution all compute ``T = X W + b`` on rows: a row of ``X`` is the
patch of the input that one output position sees. Groups split input and output channels into independent problems;
a depthwise convolution is the case of one group per channel. So every such layer is a stack of matrices
``[groups, inputs, outputs]``, and one solver serves them all.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import tf_keras

from core.engine.reconstruction.graph import Graph

_L = tf_keras.layers
Array = np.ndarray[Any, Any]


def is_depthwise(layer: Any) -> bool:
    """Whether ``layer`` convolves each channel on its own."""
    return isinstance(layer, _L.DepthwiseConv2D)


def is_linear(layer: Any) -> bool:
    """Whether the layer is one this room can see as ``X W + b``."""
    if isinstance(layer, _L.Conv2DTranspose):
        return False
    if isinstance(layer, (_L.Conv2D, _L.DepthwiseConv2D)):
        return bool(layer.data_format == "channels_last")
    return isinstance(layer, _L.Dense)


def prunable_layers(model: Any, depthwise: bool = False) -> list[str]:
    """Return names of the layers whose kernels may be compressed, in topological order.

    Convolutions and dense layers called once; depthwise ones only on request, since they hold few weights and
    lose much. A layer called several times shares its kernel between places with different inputs and is left out.
    """
    graph = Graph(model)
    return [
        o.layer.name
        for o in graph.operations
        if is_linear(o.layer)
        and (depthwise or not is_depthwise(o.layer))
        and len(graph.calls(o.layer.name)) == 1
    ]


def kernel_of(layer: Any) -> Any:
    """Return the kernel variable of a linear layer."""
    return layer.depthwise_kernel if is_depthwise(layer) else layer.kernel


def groups_of(layer: Any) -> int:
    """Return the number of independent groups of channels."""
    if is_depthwise(layer):
        return int(layer.depthwise_kernel.shape[2])
    return int(getattr(layer, "groups", 1))


def to_matrix(kernel: Array, layer: Any) -> Array:
    """Return ``kernel`` in Keras's layout as ``[groups, inputs, outputs]``; inputs run over height, width, channel."""
    if is_depthwise(layer):
        h, w, channels, multiplier = kernel.shape
        return cast(Array, kernel.reshape(h * w, channels, multiplier).transpose(1, 0, 2))
    groups = groups_of(layer)
    flat = kernel.reshape(-1, groups, kernel.shape[-1] // groups)
    return cast(Array, flat.transpose(1, 0, 2))


def from_matrix(matrix: Array, layer: Any) -> Array:
    """Undo :func:`to_matrix`."""
    shape = tuple(kernel_of(layer).shape)
    return np.ascontiguousarray(matrix.transpose(1, 0, 2)).reshape(shape)


def output_positions(layer: Any, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width of the output for an input of ``shape`` [batch, height, width, channel]."""
    if isinstance(layer, _L.Dense):
        return int(np.prod(shape[1:-1])), 1
    found = layer.compute_output_shape((1, *shape[1:]))
    return int(found[1]), int(found[2])


def patches(inputs: Array, layer: Any, rows: Array, columns: Array) -> Array:
    """Return the patches that chosen output positions see.

    Parameters
    ----------
    inputs
        float32 [batch, height, width, channel], or [batch, ..., channel] for a dense layer.
    rows, columns
        int [batch, samples]: output positions of each example, as :func:`output_positions` counts them.

    Returns
    -------
    array
        float32 [groups, batch * samples, inputs per group], zero where the padding is.
    """
    batch, samples = rows.shape
    each = np.arange(batch)[:, None]
    if isinstance(layer, _L.Dense):
        flat = inputs.reshape(batch, -1, inputs.shape[-1])
        return cast(Array, flat[each, rows].reshape(1, batch * samples, -1))
    (kh, kw), (sh, sw), (dh, dw) = layer.kernel_size, layer.strides, layer.dilation_rate
    top, left = _padding(layer, inputs.shape)
    channels = inputs.shape[-1]
    out = np.zeros((batch, samples, kh * kw, channels), np.float32)
    for i in range(kh):
        y = rows * sh + i * dh - top
        for j in range(kw):
            x = columns * sw + j * dw - left
            inside = (y >= 0) & (y < inputs.shape[1]) & (x >= 0) & (x < inputs.shape[2])
            taken = inputs[each, np.clip(y, 0, inputs.shape[1] - 1), np.clip(x, 0, inputs.shape[2] - 1)]
            out[:, :, i * kw + j] = taken if inside.all() else taken * inside[..., None]
    groups = groups_of(layer)
    split = out.reshape(batch * samples, kh * kw, groups, channels // groups)
    return cast(Array, split.transpose(2, 0, 1, 3).reshape(groups, batch * samples, -1))


def _padding(layer: Any, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return what "same" padding adds above and to the left: the smaller half, as TensorFlow rounds it."""
    if layer.padding != "same":
        return 0, 0
    before = []
    for axis in range(2):
        size, stride = shape[1 + axis], layer.strides[axis]
        reach = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        before.append(total // 2)
    return before[0], before[1]
