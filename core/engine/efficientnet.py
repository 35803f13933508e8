"""EfficientNet-Lite0 as a Keras model, with the weights of a PyTorch state dictionary.

Architecture: M. Tan, Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", ICML 2019, in the Lite form: no squeeze-and-excitation, ReLU6 throughout, stem and head
of fixed width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tf_keras
from tf_keras import layers

from core.errors import InputError
from core.locales import N_

Array = np.ndarray[Any, np.dtype[Any]]

STEM, HEAD, CLASSES, SIDE = 32, 1280, 1000, 224
# repeats, kernel, stride, expansion, filters
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)
EPSILON, MOMENTUM = 1e-3, 0.99


def _normalized(x: Any, name: str, activate: bool = True) -> Any:
    x = layers.BatchNormalization(epsilon=EPSILON, momentum=MOMENTUM, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x


def _convolve(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    return layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=False, name=name
    )(x)


def _block(x: Any, name: str, filters: int, kernel: int, stride: int, expansion: int) -> Any:
    given, shortcut = int(x.shape[-1]), x
    if expansion > 1:
        x = _normalized(_convolve(x, given * expansion, 1, 1, f"{name}_expand"), f"{name}_expand")
    x = layers.DepthwiseConv2D(
        kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = _normalized(x, f"{name}_depthwise")
    x = _normalized(
        _convolve(x, filters, 1, 1, f"{name}_project"), f"{name}_project", activate=False
    )
    if stride == 1 and given == filters:
        x = layers.Add(name=f"{name}_add")([x, shortcut])
    return x


def architecture() -> tf_keras.Model:
    """Return the untrained network: float32 ``[n, 224, 224, 3]`` to probabilities ``[n, 1000]``."""
    image = layers.Input((SIDE, SIDE, 3), name="image")
    x = _normalized(_convolve(image, STEM, 3, 2, "stem"), "stem")
    index = 0
    for repeats, kernel, stride, expansion, filters in STAGES:
        for repeat in range(repeats):
            x = _block(x, f"block{index}", filters, kernel, stride if repeat == 0 else 1, expansion)
            index += 1
    x = _normalized(_convolve(x, HEAD, 1, 1, "head"), "head")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(CLASSES, activation="softmax", name="classifier")(x)
    return tf_keras.Model(image, x, name="efficientnet_lite0")


def _source(layer: str) -> str:
    """Return the state dictionary's prefix for a layer of ours."""
    if layer in ("stem", "head"):
        return f"_conv_{layer}"
    if layer in ("stem_bn", "head_bn"):
        return "_bn0" if layer == "stem_bn" else "_bn1"
    if layer == "classifier":
        return "_fc"
    block, part = layer.removeprefix("block").split("_", 1)
    if not part.endswith("_bn"):
        return f"_blocks.{block}._{part}_conv"
    order = {"expand_bn": "_bn0", "depthwise_bn": "_bn1", "project_bn": "_bn2"}
    return f"_blocks.{block}.{order[part]}"


def build(state: Mapping[str, Array]) -> tf_keras.Model:
    """Return the network with the weights of ``state``.

    Convolution kernels come as ``[out, in, h, w]`` (depthwise ``[channels, 1, h, w]``) and dense
    ones as ``[out, in]``; Keras wants ``[h, w, in, out]``, ``[h, w, channels, 1]`` and ``[in, out]``.

    Raises
    ------
    InputError
        If an array is missing, has another shape, or is not finite.
    """
    model = architecture()
    for layer in model.layers:
        if not layer.weights:
            continue
        prefix = _source(layer.name)
        try:
            if isinstance(layer, layers.BatchNormalization):
                parts = ("weight", "bias", "running_mean", "running_var")
                values = [state[f"{prefix}.{part}"] for part in parts]
            elif isinstance(layer, layers.DepthwiseConv2D):
                values = [state[f"{prefix}.weight"].transpose(2, 3, 0, 1)]
            elif isinstance(layer, layers.Conv2D):
                values = [state[f"{prefix}.weight"].transpose(2, 3, 1, 0)]
            else:
                values = [state[f"{prefix}.weight"].T, state[f"{prefix}.bias"]]
            if not all(np.isfinite(value).all() for value in values):
                raise ValueError("not finite")
            layer.set_weights(values)
        except (KeyError, ValueError) as error:
            raise InputError(
                N_("The weights do not fit the architecture at the layer {layer}. Install the "
                   "package of the weights again."),
                layer=layer.name,
            ) from error
    return model
