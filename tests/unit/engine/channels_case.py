"""Small and large models whose channels are to be removed, and what removing them must equal."""

from __future__ import annotations

import numpy as np
import tf_keras

from core.engine.channels.dependencies import Dependencies, trace
from core.engine.channels.surgery import masked, rebuild
from core.engine.reconstruction.fold import flatten

L = tf_keras.layers


def lively(model: tf_keras.Model, seed: int = 0) -> tf_keras.Model:
    """Give batch norms statistics and biases values, as training would."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, tf_keras.Model):
            lively(layer, seed)
        elif isinstance(layer, L.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) if "gamma" in v.name or "variance" in v.name
                               else rng.normal(0, 0.2, w.shape)
                               for v, w in zip(layer.weights, layer.get_weights(), strict=True)])
        elif getattr(layer, "use_bias", False):
            layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))
    return model


def zoo_of_layers() -> tf_keras.Model:
    """Return a model with nearly every way in which channels hang together."""
    image = L.Input((12, 12, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(16, 3, padding="same", use_bias=False, name="stem")(image)))
    y = L.Activation("swish")(L.Conv2D(16, 1, name="branch")(x))
    y = L.Conv2D(16, 3, padding="same", groups=4, name="grouped")(y)
    x = L.Add()([x, y])
    h = L.Conv2D(24, 1, name="expand")(x)
    h = L.PReLU(shared_axes=[1, 2])(L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="deep")(h))
    gate = L.Reshape((1, 1, 48))(L.GlobalAveragePooling2D()(h))
    gate = L.Conv2D(48, 1, activation="sigmoid", name="gate")(L.Conv2D(6, 1, activation="relu", name="squeeze")(gate))
    h = L.Multiply()([h, gate * 2.0])
    s = L.SeparableConv2D(10, 3, padding="same", name="separable")(h)
    x = L.Concatenate()([x, s, L.Conv2D(16, 1, name="project")(h)])
    inner_input = L.Input((12, 12, 42))
    inner = tf_keras.Model(inner_input, L.Conv2D(20, 3, name="inner")(inner_input), name="nested")
    x = L.MaxPooling2D()(L.ZeroPadding2D(1)(inner(x)))
    x = L.Conv2DTranspose(8, 2, strides=2, name="transposed")(x)
    x = L.Flatten()(L.AveragePooling2D(4)(x))
    x = L.Dense(32, activation="relu", name="dense")(x)
    return lively(tf_keras.Model(image, L.Dense(5, activation="softmax", name="answers")(L.Dropout(0.2)(x))))


def some_of(found: Dependencies, share: float, seed: int = 0) -> list[int]:
    """Return a random share of the units of every group."""
    rng = np.random.default_rng(seed)
    return [int(u) for g in found.groups for u in rng.choice(g.units, int(share * len(g.units)), replace=False)]


def difference(model: tf_keras.Model, share: float, images: np.ndarray) -> tuple[float, tf_keras.Model, Dependencies]:
    """Return how far the smaller model is from the masked one, relative to the largest answer, and the model."""
    flat = flatten(model)
    found = trace(flat)
    removed = some_of(found, share)
    smaller = rebuild(flat, found, removed)
    wanted = masked(flat, found, removed)(images).numpy()
    assert np.abs(wanted - flat(images).numpy()).max() > 1e-3 * np.abs(wanted).max()
    return float(np.abs(smaller(images).numpy() - wanted).max()), smaller, found
