"""From a ``.tflite`` to ONNX, with tf2onnx: for the runtimes and tools that read nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.locales import N_

OPSET = 17
"""Of ONNX 1.12 (2022): old enough for today's runtimes, new enough for per-channel quantization."""


def to_onnx(tflite: Path) -> bytes:
    """Return the file as ONNX; quantized weights and activations stay whole numbers between Q and DQ operators.

    Raises
    ------
    InputError
        If tf2onnx is not installed or cannot express an operator.
    """
    try:
        converter: Any = importlib.import_module("tf2onnx.convert")
    except ImportError as error:
        raise InputError(
            N_("ONNX files need the packages tf2onnx and onnx, which this installation lacks.")) from error
    try:
        model, _ = converter.from_tflite(str(tflite), opset=OPSET)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(N_("The model cannot be written as ONNX: {reason}"), reason=reason) from error
    return bytes(model.SerializeToString())
