"""Check on the finished file that a conversion kept its promise."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from pydantic import BaseModel

from core.errors import PromiseError
from core.locales import N_

Array = np.ndarray[Any, np.dtype[Any]]

CLOSE = 1e-3
QUANTIZED = 0.1


class Parity(BaseModel):
    """How far a file's probabilities are from the Keras model's on the same ``n`` inputs.

    ``mean_worst_difference`` averages each input's largest difference over its classes.
    """

    n: int
    max_abs_difference: float
    mean_worst_difference: float
    top1_agreement: float


def run_file(content: bytes, inputs: Array) -> Array:
    """Return float32 ``[n, k]`` of a ``.tflite`` for float32 ``[n, h, w, c]``, in its own numbers."""
    interpreter = Interpreter(model_content=content, num_threads=2)
    interpreter.allocate_tensors()
    given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = []
    for example in inputs:
        value = example[np.newaxis]
        if given["dtype"] != np.float32:
            scale, zero = given["quantization"]
            limits = np.iinfo(given["dtype"])
            value = np.clip(np.rint(value / scale) + zero, limits.min, limits.max)
        interpreter.set_tensor(given["index"], value.astype(given["dtype"]))
        interpreter.invoke()
        row = interpreter.get_tensor(answer["index"])[0].astype(np.float32)
        if answer["dtype"] != np.float32:
            scale, zero = answer["quantization"]
            row = (row - zero) * scale
        rows.append(row)
    return np.stack(rows)


def compare(expected: Array, found: Array) -> Parity:
    """Compare two arrays of probabilities ``[n, k]``."""
    distance = np.abs(expected - found)
    return Parity(
        n=len(expected),
        max_abs_difference=float(distance.max()),
        mean_worst_difference=float(distance.max(1).mean()),
        top1_agreement=float((expected.argmax(1) == found.argmax(1)).mean()),
    )


def check_file(content: bytes, form: str, expected: Array, inputs: Array) -> Parity:
    """Return the parity of a file, or raise PromiseError if it is not what ``form`` says.

    A float32 file must answer as the Keras model does within 0.001; an int8 file must hold no
    floating-point tensor at all, and the class that it misjudges most is off by at most 0.1 on average.
    """
    if form == "int8" and (left := _floating(content)):
        raise PromiseError(
            N_("The int8 file still computes in floating point at {tensor}. The model has a layer "
               "that cannot be quantized; replace it."),
            tensor=left[0],
        )
    parity = compare(expected, run_file(content, inputs))
    bad = (
        parity.max_abs_difference > CLOSE
        if form == "float32"
        else parity.mean_worst_difference > QUANTIZED
    )
    if bad or not np.isfinite(parity.max_abs_difference):
        raise PromiseError(
            N_("The {form} file does not answer as the model does: probabilities differ by up to "
               "{difference}. Check the model's preprocessing and weights."),
            form=form, difference=f"{parity.max_abs_difference:.3f}",
        )
    return parity


def _floating(content: bytes) -> list[str]:
    interpreter = Interpreter(
        model_content=content, experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    return [
        str(tensor["name"])
        for tensor in interpreter.get_tensor_details()
        if np.issubdtype(tensor["dtype"], np.floating)
    ]
