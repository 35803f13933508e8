"""A model in layers that quantization-aware training knows: the same function, other layers.

TFMOT refuses a batch norm that no convolution precedes, layers that are called twice, and most activations; it splits
separable convolutions under names of its own. Where there is an equal form that it knows, that one is made here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from core.engine.reconstruction.fold import fold
from core.engine.reconstruction.graph import Graph
from core.errors import InputError
from core.locales import N_
from core.recipes.steps.quantization_aware_training import GONE

_L = tf_keras.layers
_IMAGES = 4
_FUSED = ("", "linear", "relu")
"""Activations that stay inside their layer."""

Array = np.ndarray[Any, np.dtype[Any]]
_Given = list[tuple[Any, list[Array]]]


def rewritten(model: tf_keras.Model) -> tf_keras.Model:
    """Return ``model`` flat, folded and in layers that can be trained with quantization; weights are copied.

    - A separable convolution becomes a depthwise one, ``<name>_depthwise``, and a 1x1 one of its own name.
    - A batch norm of images that could not be folded becomes a 1x1 depthwise convolution of its name.
    - Activations inside a layer, but ReLU, become layers, ``<name>_<activation>``; so the last softmax can be left
      out of the training's loss.
    - swish becomes the product of its input with a sigmoid.
    - What does something in training only, such as dropout, is left out.

    Raises
    ------
    InputError
        If the model is not functional, or calls a layer with weights in several places.
    """
    flat = fold(model).model
    graph = Graph(flat)
    inputs = [tf_keras.Input(t.shape[1:], dtype=t.dtype, name=t.node.layer.name) for t in flat.inputs]
    values: dict[str, Any] = dict(zip(graph.inputs, inputs, strict=True))
    given: _Given = []
    for operation in graph.operations:
        layer = operation.layer
        if layer.weights and len(graph.calls(layer.name)) > 1:
            raise InputError(
                N_("The layer '{layer}' is used in several places, which quantization-aware training cannot do. "
                   "Use 'quantize' instead."), layer=layer.name)
        if type(layer).__name__ in GONE:
            values[operation.outputs[0]] = values[operation.inputs[0]]
            continue
        call, weights = _equal(layer, values[operation.inputs[0]])
        given += weights
        arguments, keywords = operation.node.map_arguments({
            name: [values[name]] * operation.inputs.count(name) for name in operation.inputs})
        values.update(zip(operation.outputs, tf.nest.flatten(call(*arguments, **keywords)), strict=True))
    outputs = [values[name] for name in graph.outputs]
    new = tf_keras.Model(inputs if len(inputs) > 1 else inputs[0],
                         tf.nest.pack_sequence_as(flat.output, outputs), name=flat.name)
    for made, arrays in given:
        made.set_weights(arrays)
    return new


def activation_name(layer: Any) -> str:
    """Return the name of the activation inside ``layer``, or of an activation layer; empty without any."""
    activation = getattr(layer, "activation", None)
    return "" if activation is None else str(getattr(activation, "__name__", type(activation).__name__))


def _equal(layer: Any, known: Any) -> tuple[Callable[..., Any], _Given]:
    """Return what does the same as calling ``layer``, and the weights for the layers in it."""
    name, activation = layer.name, activation_name(layer)
    if isinstance(layer, _L.BatchNormalization) and len(known.shape) == _IMAGES and list(layer.axis) == [_IMAGES - 1]:
        return _normalization(layer)
    if isinstance(layer, _L.Activation):
        return lambda x: _activated(x, activation, name), []
    if isinstance(layer, _L.SeparableConv2D):
        call, given = _separable(layer)
    else:
        plain = type(layer).from_config(layer.get_config())
        if activation not in _FUSED:
            plain.activation = tf_keras.activations.linear
        call, given = plain, [(plain, layer.get_weights())] if layer.weights else []
    if activation in _FUSED:
        return call, given
    return lambda *x, **options: _activated(call(*x, **options), activation, f"{name}_{activation}"), given


def _activated(x: Any, activation: str, name: str) -> Any:
    if activation in ("swish", "silu"):
        return _L.Multiply(name=name)([x, _L.Activation("sigmoid", name=f"{name}_sigmoid")(x)])
    return _L.Activation(activation, name=name)(x)


def _normalization(layer: Any) -> tuple[Callable[..., Any], _Given]:
    scale = 1 / np.sqrt(layer.moving_variance.numpy() + layer.epsilon)
    if layer.scale:
        scale = scale * layer.gamma.numpy()
    shift = -layer.moving_mean.numpy() * scale + (layer.beta.numpy() if layer.center else 0.0)
    equal = _L.DepthwiseConv2D(1, name=layer.name)
    arrays = [scale.reshape(1, 1, -1, 1).astype(np.float32), shift.astype(np.float32)]
    return equal, [(equal, arrays)]


def _separable(layer: Any) -> tuple[Callable[..., Any], _Given]:
    depthwise = _L.DepthwiseConv2D(
        layer.kernel_size, layer.strides, layer.padding, layer.depth_multiplier, use_bias=False,
        dilation_rate=layer.dilation_rate, name=f"{layer.name}_depthwise")
    fused = activation_name(layer) if activation_name(layer) in _FUSED else None
    pointwise = _L.Conv2D(layer.filters, 1, use_bias=layer.use_bias, activation=fused or None, name=layer.name)
    arrays = layer.get_weights()
    return lambda x: pointwise(depthwise(x)), [(depthwise, arrays[:1]), (pointwise, arrays[1:])]
