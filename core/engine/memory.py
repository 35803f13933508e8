"""Give memory back between the steps of a run."""

from __future__ import annotations

import ctypes
import gc


def release() -> None:
    """Collect what holds itself in circles, as models and their compiled functions do, and return free pages.

    The C library keeps what TensorFlow freed in the middle of its heap, hundreds of megabytes after a walk over
    activations; glibc gives it back when asked. Elsewhere only the collection happens.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
