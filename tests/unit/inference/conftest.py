"""Small real .tflite files, one per type of input, made once by TensorFlow in a child process."""

import subprocess
import sys
from pathlib import Path

import pytest

_MAKE = """
import sys, numpy as np, tensorflow as tf, tf_keras
from pathlib import Path
folder = Path(sys.argv[1])
tf_keras.utils.set_random_seed(7)
def network(activation):
    return tf_keras.Sequential([
        tf_keras.layers.Input((16, 16, 3)),
        tf_keras.layers.Conv2D(8, 3, activation="relu"),
        tf_keras.layers.GlobalAveragePooling2D(),
        tf_keras.layers.Dense(4, activation=activation),
    ])
photos = np.random.default_rng(0).uniform(-1, 1, (32, 16, 16, 3)).astype("float32")
soft, raw = network("softmax"), network(None)
raw.set_weights([w * 4 for w in soft.get_weights()])
soft.set_weights(raw.get_weights())
def convert(model, name, kind=None, ops=None):
    c = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind:
        c.optimizations = [tf.lite.Optimize.DEFAULT]
        c.representative_dataset = lambda: ([p[None]] for p in photos)
        c.target_spec.supported_ops = [ops or tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        c.inference_input_type = c.inference_output_type = kind
    (folder / name).write_bytes(c.convert())
convert(soft, "float32.tflite")
convert(raw, "logits.tflite")
convert(soft, "int8.tflite", tf.int8)
convert(soft, "uint8.tflite", tf.uint8)
convert(soft, "int16.tflite", tf.int16,
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8)
table = [tf_keras.layers.Input((5,)), tf_keras.layers.Dense(2)]
convert(tf_keras.Sequential(table), "table.tflite")
np.savez(folder / "expected.npz", photos=photos, probabilities=soft(photos).numpy())
"""


@pytest.fixture(scope="session")
def tflite(tmp_path_factory) -> Path:
    """A folder with {float32,logits,int8,uint8,int16,table}.tflite and expected.npz."""
    folder = tmp_path_factory.mktemp("tflite")
    done = subprocess.run([sys.executable, "-c", _MAKE, str(folder)], capture_output=True,
                          text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder
