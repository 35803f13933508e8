"""The file that ships: converted, stored sparse where that pays, and checked against what was promised."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import tensorflow as tf
import tf_keras

from core.engine.methods.frame import Array, Finding, Promise
from core.engine.report_layers import parse
from core.engine.verify import Parity, compare
from core.errors import PromiseError
from core.inference.classifier import Classifier
from core.locales import N_
from core.measurement import promises

# Largest difference of a probability between the file and the model, averaged over images. A file stays
# within its scheme's unless the conversion went wrong; int4 has no bound, since its loss is its own.
_TOLERANCE = {"float32": 1e-3, "float16": 0.02, "int16x8": 0.1, "dynamic": 0.1, "int8": 0.2}
_WORTH_TRYING = 0.5  # zeros in all weights below which a sparse encoding is never smaller
_IMAGES = 32


def check_promise(content: bytes, promise: Promise) -> None:
    """Raise PromiseError, naming the layer, if the file does not keep ``promise``."""
    promises.keep(promises.check(
        parse(content), promise.zeros, promise.two_four, promise.distinct,
        cast(Literal["float32"], promise.scheme), promise.io, promise.float_layers))


def check_answers(
    content: bytes, promise: Promise, expected: Array, images: Array
) -> tuple[Parity, tuple[Finding, ...]]:
    """Compare the file's answers with the Keras model's.

    Parameters
    ----------
    expected
        Probabilities of the Keras model, float32 [n, classes].
    images
        What they were given for, float32 [n, h, w, c].

    Raises
    ------
    PromiseError
        If the file's answers are no numbers or further away than the scheme explains.
    """
    parity = compare(expected, answers(content, images))
    limit = _TOLERANCE.get(promise.scheme, 1.0)
    if not np.isfinite(parity.mean_worst_difference) or parity.mean_worst_difference > limit:
        raise PromiseError(
            N_("The converted file answers differently from the model it was made from: a "
               "probability moved by {found} on average, at most {limit} was expected of {scheme}. Try more "
               "calibration images, or keep some layers in float."),
            found=f"{parity.mean_worst_difference:.3f}", limit=limit, scheme=promise.scheme)
    if parity.top1_agreement < 0.9:
        return parity, (Finding(
            "conversion-changes-answers",
            N_("Conversion alone changed the answer for {share}% of {n} calibration images."),
            {"share": round(100 * (1 - parity.top1_agreement)), "n": parity.n}, "warning"),)
    return parity, ()


def answers(content: bytes, images: Array) -> Array:
    """Return what LiteRT makes of images with this file, probabilities float32 [n, classes]."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        served = Classifier(path)
        try:
            return np.concatenate([served.predict(images[i: i + 1]) for i in range(len(images))])
        finally:
            served.close()


def stored_sparse(
    model: tf_keras.Model, content: bytes, promise: Promise, images: Array
) -> tuple[bytes, tuple[Finding, ...]]:
    """Return the float file with its zeros left out, if that is smaller and LiteRT gives the same answers.

    Smaller means the file itself, without the packed (gzip) file growing. The encoding is TFLite's.
    """
    weights = parse(content).weights
    zeros = sum(w.tensor.size - w.tensor.nonzero() for w in weights)
    if promise.scheme != "float32" or zeros < _WORTH_TRYING * sum(w.tensor.size for w in weights):
        return content, ()
    converter: Any = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    sparse = bytes(converter.convert())
    smaller = len(sparse) < len(content) and _packed(sparse) <= _packed(content)
    if not smaller or not np.array_equal(answers(sparse, images), answers(content, images)):
        return content, ()
    return sparse, (Finding(
        "stored-sparse", N_("Zeros are left out of the file: {after} instead of {before} bytes, with the same "
                            "answers. Only some phones' processors also run it faster."),
        {"before": len(content), "after": len(sparse)}),)


def _packed(content: bytes) -> int:
    return len(gzip.compress(content, 6))


def sample(images: Array) -> Array:
    """Return up to 32 images for comparing answers, evenly spaced, float32 [n, h, w, c]."""
    chosen = np.unique(np.linspace(0, len(images) - 1, min(_IMAGES, len(images))).astype(int))
    return np.asarray(images[chosen], np.float32)
