"""Write small real ``.tflite`` files with TensorFlow; run in a child process by the fixture."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

SPARSE, TWO_FOUR, CLUSTERS = 0.75, 0.5, 8


def build(hard: bool = True) -> keras.Model:
    """A network with every kind of layer that is counted; ``hard`` constrains some of its weights."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = layers.Input((16, 16, 3), name="image")
    x = layers.ZeroPadding2D(1, name="pad")(image)
    x = layers.Conv2D(8, 3, strides=2, activation="relu6", name="stem")(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu6", name="depth")(x)
    x = layers.Conv2D(16, 1, activation="relu6", name="point")(x)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(96, activation="relu", name="hidden")(x)
    x = layers.Dense(5, activation="softmax", name="top")(x)
    model = keras.Model(image, x)
    if hard:
        rng = np.random.default_rng(0)
        kernel, bias = model.get_layer("point").get_weights()
        flat = kernel.reshape(-1)
        flat[rng.permutation(flat.size)[: int(SPARSE * flat.size)]] = 0
        model.get_layer("point").set_weights([kernel, bias])
        kernel, bias = model.get_layer("hidden").get_weights()
        groups = kernel.T.reshape(-1, 4)
        groups[np.arange(len(groups))[:, None], np.argsort(np.abs(groups), axis=1)[:, :2]] = 0
        model.get_layer("hidden").set_weights([groups.reshape(96, 16).T, bias])
        kernel, bias = model.get_layer("top").get_weights()
        centres = np.linspace(-0.2, 0.2, CLUSTERS)
        nearest = np.abs(kernel[..., None] - centres).argmin(axis=-1)
        model.get_layer("top").set_weights([centres[nearest].astype(np.float32), bias])
    return model


def write(folder: Path) -> None:
    """Write float, float16, dynamic, int8 and sparse forms, and the dense weights as ``.npz``."""
    model = build()
    rng = np.random.default_rng(1)
    images = rng.normal(size=(40, 1, 16, 16, 3)).astype(np.float32)

    def convert(name: str, **options: object) -> None:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        for key, value in options.items():
            setattr(converter, key, value)
        (folder / f"{name}.tflite").write_bytes(converter.convert())

    default = [tf.lite.Optimize.DEFAULT]
    convert("float")
    convert("float16", optimizations=default, target_spec=tf.lite.TargetSpec(
        supported_types=[tf.float16]))
    convert("dynamic", optimizations=default)
    convert("sparse", optimizations=[tf.lite.Optimize.EXPERIMENTAL_SPARSITY])
    full = {"optimizations": default, "representative_dataset": lambda: ([i] for i in images),
            "target_spec": tf.lite.TargetSpec(
                supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8])}
    convert("int8-float-io", **full)
    convert("int8", inference_input_type=tf.int8, inference_output_type=tf.int8, **full)
    weights = {
        layer.name: layer.get_weights()[0] for layer in model.layers if layer.get_weights()
    }
    np.savez(folder / "weights.npz", **weights)
    np.savez(folder / "reference.npz", images=images[:, 0],
             probabilities=model(images[:, 0]).numpy())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
