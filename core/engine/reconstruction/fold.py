"""Batch normalization absorbed into the layer before it, and nested models laid flat.

At inference ``y = gamma * (W x + b - mean) / sqrt(variance + epsilon) + beta`` is itself a convolution: kernel
``W * gamma / sqrt(variance + epsilon)`` per output channel, and a bias. Layer-wise reconstruction works on that
form, since there the output of one layer is what the next operation really receives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from core.engine.reconstruction.graph import Graph, require_functional

_FOLDABLE = (
    tf_keras.layers.Conv2D,
    tf_keras.layers.DepthwiseConv2D,
    tf_keras.layers.Conv1D,
    tf_keras.layers.Dense,
)
# Subclasses of Conv2D and Conv1D whose kernels are laid out in another way.
_OTHER_LAYOUT = (tf_keras.layers.Conv2DTranspose, tf_keras.layers.Conv1DTranspose)


@dataclass(frozen=True)
class Folded:
    """A flat, folded model.

    Attributes
    ----------
    model
        Functional model with its own weights; every layer keeps its name.
    absorbed
        Name of each layer that absorbed a batch normalization, to the name of what it absorbed.
    """

    model: Any
    absorbed: Mapping[str, str]


def flatten(model: Any) -> Any:
    """Return ``model`` with nested functional models replaced by their layers; weights are copied.

    A layer of a nested model whose name is taken gets the nested model's name in front.

    Raises
    ------
    InputError
        If the model, or a model inside it, is not functional.
    """
    return _rebuild(model, {})


def fold(model: Any) -> Folded:
    """Return ``model`` flat, with each batch normalization absorbed where that is exact.

    It is where a convolution, depthwise convolution or dense layer without activation, called once, is read by the
    normalization alone. Others stay. The result computes the same function up to rounding.

    Raises
    ------
    InputError
        If the model, or a model inside it, is not functional.
    """
    nested = any(isinstance(layer, tf_keras.Model) for layer in model.layers)
    flat = flatten(model) if nested else model
    graph = Graph(flat)
    absorbed: dict[str, str] = {}
    for operation in graph.operations:
        layer = operation.layer
        if not isinstance(layer, _FOLDABLE) or isinstance(layer, _OTHER_LAYOUT):
            continue
        output = operation.outputs[0]
        readers = graph.consumers.get(output, [])
        if (
            len(readers) == 1
            and isinstance(readers[0].layer, tf_keras.layers.BatchNormalization)
            and layer.activation is tf_keras.activations.linear
            and output not in graph.outputs
            and len(graph.calls(layer.name)) == len(graph.calls(readers[0].layer.name)) == 1
            and list(readers[0].layer.axis) == [len(layer.output.shape) - 1]
        ):
            absorbed[layer.name] = str(readers[0].layer.name)
    return Folded(_rebuild(flat, absorbed) if absorbed or not nested else flat, absorbed)


def folded_weights(layer: Any, normalization: Any) -> list[np.ndarray]:
    """Return kernel and bias of ``layer`` followed by ``normalization``, float32."""
    weights = layer.get_weights()
    kernel = weights[0].astype(np.float64)
    mean = np.asarray(normalization.moving_mean, np.float64)
    scale = 1 / np.sqrt(np.asarray(normalization.moving_variance, np.float64) + normalization.epsilon)
    if normalization.scale:
        scale = scale * np.asarray(normalization.gamma, np.float64)
    bias = (weights[1] if layer.use_bias else 0.0) - mean
    bias = bias * scale + (np.asarray(normalization.beta, np.float64) if normalization.center else 0.0)
    # A depthwise kernel is [height, width, channel, multiplier]: its outputs are its last two axes.
    outputs = kernel.shape[2:] if isinstance(layer, tf_keras.layers.DepthwiseConv2D) else kernel.shape[-1:]
    return [(kernel * scale.reshape(outputs)).astype(np.float32), bias.astype(np.float32)]


def _rebuild(model: Any, absorbed: Mapping[str, str]) -> Any:
    """Build ``model`` anew, flat, leaving out the normalizations in ``absorbed``'s values."""
    require_functional(model)
    inputs = [
        tf_keras.Input(t.shape[1:], batch_size=t.shape[0], dtype=t.dtype, name=t.node.layer.name)
        for t in model.inputs
    ]
    taken: set[str] = {layer.name for layer in model.layers}
    outputs, pairs = _inline(model, inputs, absorbed, taken, "")
    flat = tf_keras.Model(
        inputs if len(inputs) > 1 else inputs[0],
        tf.nest.pack_sequence_as(model.output, outputs),
        name=model.name,
    )
    by_name: dict[str, Any] = {layer.name: layer for layer in model.layers}
    own = {id(layer) for layer in model.layers}
    for old, new in pairs:
        if old.name in absorbed and id(old) in own:
            new.set_weights(folded_weights(old, by_name[absorbed[old.name]]))
        elif old.weights:
            new.set_weights(old.get_weights())
        new.trainable = old.trainable
    return flat


def _inline(
    model: Any, inputs: list[Any], absorbed: Mapping[str, str], taken: set[str], prefix: str
) -> tuple[list[Any], list[tuple[Any, Any]]]:
    graph = Graph(model)
    skipped = set(absorbed.values())
    values: dict[str, Any] = dict(zip(graph.inputs, inputs, strict=True))
    made: dict[int, Any] = {}
    pairs: list[tuple[Any, Any]] = []
    for operation in graph.operations:
        layer = operation.layer
        if layer.name in skipped:
            values[operation.outputs[0]] = values[operation.inputs[0]]
            continue
        if isinstance(layer, tf_keras.Model):
            require_functional(layer)
            # A nested model that is called twice shares its weights: it stays one layer.
            if len(graph.calls(layer.name)) == 1:
                results, inner = _inline(
                    layer, [values[name] for name in operation.inputs], {}, taken, f"{layer.name}_"
                )
                values.update(zip(operation.outputs, results, strict=True))
                pairs += inner
                continue
        if id(layer) not in made:
            config = layer.get_config()
            while prefix and config["name"] in taken:
                config["name"] = prefix + config["name"]
            if layer.name in absorbed:
                config["use_bias"] = True
            taken.add(config["name"])
            made[id(layer)] = type(layer).from_config(config)
            pairs.append((layer, made[id(layer)]))
        arguments, keywords = operation.node.map_arguments(
            {name: [values[name]] * operation.inputs.count(name) for name in operation.inputs}
        )
        results = tf.nest.flatten(made[id(layer)](*arguments, **keywords))
        values.update(zip(operation.outputs, results, strict=True))
    return [values[name] for name in graph.outputs], pairs
