"""The ranges of activations before training begins.

TFMOT starts every range at -6 to 6 and moves it by a thousandth per step, which takes thousands of steps to arrive.
Here each range starts where those steps would end: at the mean of the smallest and largest values of batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from core.engine.methods.frame import Array, Context
from core.engine.training_aware.rounding import wrappers

_BATCH = 32
_SMALLEST = 1e-6


def measured(model: tf_keras.Model, images: Array, context: Context) -> dict[str, tuple[float, float]]:
    """Return the mean smallest and largest output of each layer over batches of images float32 [n, h, w, c].

    The input is under its layer's name. Every range includes zero, which int8 must hold exactly.
    """
    names = [layer.name for layer in model.layers]
    outputs = tf_keras.Model(model.inputs, [layer.output for layer in model.layers])

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def extremes(batch: Any) -> Any:
        found = outputs(batch, training=False)
        return tf.stack([tf.stack([tf.reduce_min(x), tf.reduce_max(x)]) for x in found])

    parts = []
    for start in range(0, len(images), _BATCH):
        context.check_cancelled()
        parts.append(extremes(tf.constant(np.asarray(images[start: start + _BATCH], np.float32))).numpy())
    mean = np.mean(parts, axis=0)
    return {name: (min(0.0, float(low)), max(_SMALLEST, float(high)))
            for name, (low, high) in zip(names, mean, strict=True)}


def begin(model: tf_keras.Model, ranges: dict[str, tuple[float, float]], entrance: str) -> None:
    """Set the ranges of a model that rounds, in place; ``entrance`` names the input layer."""
    for layer in model.layers:
        if type(layer).__name__ == "QuantizeLayer":
            _assign(layer.quantizer_vars, ranges[entrance])
    for name, layer in wrappers(model).items():
        for variables in _variables(layer):
            _assign(variables, ranges[name])


def _variables(layer: Any) -> Iterator[Any]:
    if layer._output_quantizers:
        yield layer._output_quantizer_vars
    for activation in layer._quantize_activations:
        if activation._should_post_quantize():
            yield activation._post_activation_vars


def _assign(variables: Any, bounds: tuple[float, float]) -> None:
    if variables:
        variables["min_var"].assign(bounds[0])
        variables["max_var"].assign(bounds[1])
