"""How clustered layers are written: int8 codes of scaled weights, and biases without digits that say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.engine.reconstruction import kernels

Array = np.ndarray[Any, Any]


def codes(layer: Any, scales: Sequence[float]) -> Array:
    """Return the codes of a layer's kernel, whole numbers as float32 [g, d, m]; ``scales`` are by output channel."""
    matrix = kernels.to_matrix(kernels.kernel_of(layer).numpy(), layer)
    found: Array = np.rint(matrix / np.array(scales, np.float32).reshape(len(matrix), 1, -1))
    return found


def shortened(bias: Array) -> Array:
    """Return biases to 12 significant bits, float32: their last bytes are zero, and pack to nothing."""
    mantissa, exponent = np.frexp(bias.astype(np.float32))
    found: Array = np.ldexp(np.rint(np.ldexp(mantissa, 12)), exponent - 12).astype(np.float32)
    return found
