"""The small digits network, and the script that trains it: ``python -m core.engine.digits``.

A textbook convolutional network on the 8 x 8 digits that scikit-learn carries (E. Alpaydin and
C. Kaynak, UCI Machine Learning Repository, 1998). The run is deterministic: one thread, TensorFlow's
deterministic kernels, one seed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras
from tf_keras import layers

from core.engine.canonical import write_arrays
from core.settings import ROOT, Settings, settings

Array = np.ndarray[Any, np.dtype[Any]]

SEED, EPOCHS, BATCH, RATE = 0, 60, 32, 2e-3


def architecture() -> tf_keras.Model:
    """Return the untrained network: float32 ``[n, 8, 8, 1]`` in 0..1 to probabilities ``[n, 10]``."""
    image = layers.Input((8, 8, 1), name="image")
    x = image
    for index, (filters, pool) in enumerate([(24, False), (32, True), (64, False)], start=1):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{index}")(x)
        x = layers.BatchNormalization(name=f"conv{index}_bn")(x)
        x = layers.ReLU(name=f"conv{index}_relu")(x)
        x = layers.MaxPooling2D(name="pool")(x) if pool else x
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(48, activation="relu", name="dense")(x)
    x = layers.Dropout(0.3, seed=SEED, name="dropout")(x)
    x = layers.Dense(10, activation="softmax", name="classifier")(x)
    return tf_keras.Model(image, x, name="digits")


def augment(images: Array, rng: np.random.Generator) -> Array:
    """Return a copy of ``[n, 8, 8, 1]`` moved by up to one pixel, with other strength and noise."""
    moved = np.zeros_like(images)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for i, (dy, dx) in enumerate(rng.integers(0, 3, (len(images), 2))):
        moved[i] = padded[i, dy:dy + 8, dx:dx + 8]
    strength = rng.uniform(0.8, 1.1, (len(images), 1, 1, 1))
    noise = rng.normal(0, 0.03, images.shape)
    return np.clip(moved * strength + noise, 0, 1).astype(np.float32)


def train(images: Array, targets: Array) -> tf_keras.Model:
    """Train on float32 ``[n, 8, 8, 1]`` in 0..1 and int ``[n]``; the same bytes in, the same out."""
    tf_keras.utils.set_random_seed(SEED)
    rng = np.random.default_rng(SEED)
    model = architecture()
    batches = -(-len(images) // BATCH)
    model.compile(
        tf_keras.optimizers.Adam(tf_keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * batches)),
        tf_keras.losses.SparseCategoricalCrossentropy(),
    )
    for _ in range(EPOCHS):
        order = rng.permutation(len(images))
        model.fit(augment(images[order], rng), targets[order], BATCH, epochs=1, verbose=0,
                  shuffle=False)
    return model


def splits(configuration: Settings) -> dict[str, tuple[Array, Array]]:
    """Return prepared images and targets of train (1,197), validation (240) and test (360)."""
    from core.datasets import open_dataset

    result = {}
    for name in ("train", "validation", "test"):
        data = open_dataset("digits", configuration, split=name)
        assert data.targets is not None  # noqa: S101 - a built-in set has targets
        images = np.stack([data.image(i) for i in range(len(data))]).astype(np.float32) / 255
        result[name] = (images, data.targets)
    return result


def main() -> None:
    """Train, print accuracies and the digest as JSON, and write the weights."""
    import tensorflow as tf

    parser = argparse.ArgumentParser(description="Train the digits model that ships.")
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "digits" / "weights.npz")
    out = parser.parse_args().out
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    data = splits(settings())
    model = train(*data["train"])
    accuracy = {
        name: float((model.predict(x, verbose=0).argmax(1) == y).mean())
        for name, (x, y) in data.items()
    }
    write_arrays(model, out)
    json.dump({
        "parameters": model.count_params(), "accuracy": accuracy, "bytes": out.stat().st_size,
        "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
    }, sys.stdout, indent=2)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
