"""From a Keras model to the bytes of a ``.tflite`` file, in five number formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tf_keras

from core.errors import InputError
from core.locales import N_

Array = np.ndarray[Any, np.dtype[Any]]
Scheme = Literal["float32", "float16", "dynamic", "int8", "int16x8"]


def to_tflite(
    model: tf_keras.Model,
    *,
    scheme: Scheme,
    calibration: Iterable[Array] | None = None,
    io: Literal["float", "int8"] = "float",
) -> bytes:
    """Convert ``model`` with post-training quantization.

    Parameters
    ----------
    model
        A Keras model with one input and one output.
    scheme
        ``float32``; ``float16`` (weights); ``dynamic`` (int8 weights, activations quantized while
        running); ``int8`` (weights per channel and activations); ``int16x8`` (int16 activations,
        int8 weights). The int8 arithmetic is that of Jacob et al., "Quantization and Training of
        Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018.
    calibration
        Prepared inputs, float32 ``[n, h, w, c]`` each; ``int8`` and ``int16x8`` read the range of
        every activation from them, one example at a time.
    io
        Whether the file takes and gives float32, or int8 (int16 for ``int16x8``).

    Returns
    -------
    bytes
        The file. It is not checked here that it is what ``scheme`` says; see `core.measurement`.

    Raises
    ------
    InputError
        If the scheme needs calibration and there is none, or the converter cannot express a layer.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if scheme != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if scheme == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if scheme in ("int8", "int16x8"):
        converter.representative_dataset = _examples(calibration)
        kinds = tf.lite.OpsSet
        converter.target_spec.supported_ops = [
            kinds.TFLITE_BUILTINS_INT8
            if scheme == "int8"
            else kinds.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        if io == "int8":
            kind = tf.int8 if scheme == "int8" else tf.int16
            converter.inference_input_type = converter.inference_output_type = kind
    try:
        content = converter.convert()
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise InputError(
            N_("The model cannot be written as a {scheme} TFLite file: {reason}"),
            scheme=scheme, reason=_first_line(error),
        ) from error
    return bytes(content)


def _examples(calibration: Iterable[Array] | None) -> Any:
    batches = [np.asarray(batch, np.float32) for batch in calibration or ()]
    if not sum(len(batch) for batch in batches):
        raise InputError(
            N_("Quantizing the activations needs calibration photos, and there are none. Add some.")
        )

    def examples() -> Iterator[list[Array]]:
        for batch in batches:
            for example in batch:
                yield [example[np.newaxis]]

    return examples


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]
