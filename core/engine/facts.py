"""The facts of a Keras model that a recipe is checked against."""

from __future__ import annotations

import re

import tf_keras

from core.recipes import LayerFacts, ModelFacts


def model_facts(model: tf_keras.Model, name: str = "") -> ModelFacts:
    """Return the layers with kernels, whether there is batch norm, and the number of parameters.

    Layers inside nested models are included under their own names.
    """
    layers: list[LayerFacts] = []
    has_batch_norm = False
    for layer in flat_layers(model):
        kind = _snake(type(layer).__name__)
        has_batch_norm = has_batch_norm or kind == "batch_normalization"
        kernel = getattr(layer, "depthwise_kernel", None)
        kernel = getattr(layer, "kernel", None) if kernel is None else kernel
        if kernel is not None and hasattr(kernel, "shape"):
            layers.append(LayerFacts(name=layer.name, kind=kind, shape=tuple(kernel.shape),
                                     parameters=int(layer.count_params())))
    return ModelFacts(name=name or model.name, layers=tuple(layers), has_batch_norm=has_batch_norm,
                      parameters=int(model.count_params()), operations=_operations(model))


def flat_layers(model: tf_keras.Model) -> list[tf_keras.layers.Layer]:
    """Return every layer, those of nested models in place of them."""
    found = []
    for layer in model.layers:
        found.extend(flat_layers(layer) if isinstance(layer, tf_keras.Model) else [layer])
    return found


def _operations(model: tf_keras.Model) -> dict[str, str]:
    """Return each layer's class by name, and the activation inside it under ``<name>_<activation>``."""
    found = {}
    for layer in flat_layers(model):
        kind = type(layer).__name__
        activation = getattr(layer, "activation", None)
        name = str(getattr(activation, "__name__", type(activation).__name__))
        if kind == "Activation":
            kind = f"Activation({name})"
        elif activation is not None and name != "linear":
            found[f"{layer.name}_{name}"] = f"Activation({name})"
        found[layer.name] = kind
    return found


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("conv2_d", "conv2d")
