"""The smaller model: the same layers built from their own configurations, with sliced weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from core.engine.channels.dependencies import Dependencies
from core.engine.channels.following import is_depthwise

_L = tf_keras.layers
Array = np.ndarray[Any, Any]


def rebuild(model: Any, found: Dependencies, removed: Iterable[int]) -> Any:
    """Return a functional model without the removed units; layers keep their names.

    Parameters
    ----------
    model
        The flat model that was traced, or one of the same architecture.
    found
        Its dependencies.
    removed
        Units that go.
    """
    kept = found.keep(removed)
    inputs = [tf_keras.Input(t.shape[1:], batch_size=t.shape[0], dtype=t.dtype, name=t.node.layer.name)
              for t in found.graph.model.inputs]
    values: dict[str, Any] = dict(zip(found.graph.inputs, inputs, strict=True))
    made: dict[str, Any] = {}
    for operation in found.graph.operations:
        layer = operation.layer
        if layer.name not in made:
            made[layer.name] = type(layer).from_config(_config(layer, operation.outputs[0], found, kept))
        arguments, keywords = operation.node.map_arguments(
            {name: [values[name]] * operation.inputs.count(name) for name in operation.inputs})
        results = tf.nest.flatten(made[layer.name](*arguments, **keywords))
        values.update(zip(operation.outputs, results, strict=True))
    outputs = [values[name] for name in found.graph.outputs]
    smaller = tf_keras.Model(inputs if len(inputs) > 1 else inputs[0],
                             tf.nest.pack_sequence_as(found.graph.model.output, outputs), name=model.name)
    for name, layer in made.items():
        source = model.get_layer(name)
        if source.weights:
            layer.set_weights(sliced(source, found, kept))
        layer.trainable = source.trainable
    return smaller


def _config(layer: Any, output: str, found: Dependencies, kept: Array) -> dict[str, Any]:
    config: dict[str, Any] = layer.get_config()
    makes = found.at_layer.get((layer.name, "out"))
    if makes is not None and layer.name not in found.unfollowed:
        count = int(kept[makes].sum())
        if isinstance(layer, _L.Dense):
            config["units"] = count
        elif not isinstance(layer, _L.DepthwiseConv2D):
            config["filters"] = count
            if is_depthwise(layer):
                config["groups"] = int(kept[found.at_layer[layer.name, "in"]].sum())
    if isinstance(layer, _L.Reshape) and output in found.channels:
        config["target_shape"] = (*layer.output_shape[1:-1], int(kept[found.channels[output]].sum()))
    return config


def kernel_slices(layer: Any, found: Dependencies, kept: Array) -> tuple[Array, Array]:
    """Return the kept indices of a kernel's input axis (within one group) and of its output axis."""
    reads = kept[found.at_layer[layer.name, "in"]]
    makes = kept[found.at_layer[layer.name, "out"]]
    groups = 1 if is_depthwise(layer) else int(getattr(layer, "groups", 1))
    return np.flatnonzero(reads[: len(reads) // groups]), np.flatnonzero(makes)


def slice_kernel(kernel: Array, layer: Any, found: Dependencies, kept: Array) -> Array:
    """Return the kept part of a kernel, or of a mask in its shape."""
    reads, makes = kernel_slices(layer, found, kept)
    if isinstance(layer, _L.DepthwiseConv2D):
        return np.take(kernel, reads, -2)
    if is_depthwise(layer):
        return np.take(kernel, makes, -1)
    if isinstance(layer, _L.Conv2DTranspose):
        return np.take(np.take(kernel, reads, -1), makes, -2)
    return np.take(np.take(kernel, reads, -2), makes, -1)


def sliced(layer: Any, found: Dependencies, kept: Array) -> list[Array]:
    """Return the kept part of every weight of a layer, in Keras's order."""
    weights: list[Array] = layer.get_weights()
    reads = found.at_layer.get((layer.name, "in"))
    if reads is None or layer.name in found.unfollowed:
        return weights
    if (layer.name, "out") not in found.at_layer:  # batch norm, PReLU
        chosen = np.flatnonzero(kept[reads])
        return [np.take(w, chosen, -1) if w.shape[-1] == len(reads) else w for w in weights]
    makes = np.flatnonzero(kept[found.at_layer[layer.name, "out"]])
    if isinstance(layer, (_L.SeparableConv2D, _L.SeparableConv1D)):
        deep, point, *bias = weights
        middle = np.repeat(kept[reads], layer.depth_multiplier)
        return [np.take(deep, np.flatnonzero(kept[reads]), -2),
                np.take(np.take(point, np.flatnonzero(middle), -2), makes, -1), *(b[makes] for b in bias)]
    return [slice_kernel(weights[0], layer, found, kept), *(b[makes] for b in weights[1:])]


def sliced_masks(masks: Mapping[str, Array], model: Any, found: Dependencies, kept: Array) -> dict[str, Array]:
    """Return kernel masks by layer name, cut to the kept channels."""
    return {name: slice_kernel(mask, model.get_layer(name), found, kept)
            if (name, "out") in found.at_layer and name not in found.unfollowed else mask
            for name, mask in masks.items()}


def masked(model: Any, found: Dependencies, removed: Iterable[int]) -> Any:
    """Return a copy of the whole model in which no layer listens to a removed unit: what :func:`rebuild` equals."""
    kept = found.keep(removed)
    twin = tf_keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    for one in found.readers():
        silence(twin.get_layer(one.layer), kept[one.reads])
    return twin


def silence(layer: Any, listens: Array) -> None:
    """Set to zero, in place, the weights of a layer that meet the input channels not in ``listens`` (bool)."""
    kernel: Any = getattr(layer, "kernel", None)
    axis = -2
    if isinstance(layer, (_L.SeparableConv2D, _L.SeparableConv1D)):
        kernel, listens = layer.pointwise_kernel, np.repeat(listens, layer.depth_multiplier)
    elif isinstance(layer, _L.Conv2DTranspose):
        axis = -1
    value = kernel.numpy()
    per_group = listens[: value.shape[axis]]
    shape = [1] * value.ndim
    shape[axis] = len(per_group)
    kernel.assign(value * per_group.reshape(shape))
