"""How long a call takes: the median of a few, within a budget."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.inference.classifier import Classifier

Result = TypeVar("Result")


def median_ms(call: Callable[[], Result], runs: int = 5, budget_s: float = 0.05,
              clock: Callable[[], float] = time.perf_counter) -> tuple[Result, float]:
    """Call one to ``runs`` times; return the last result and the median in milliseconds.

    No further call begins once ``budget_s`` seconds are spent, so that a slow model or a busy
    machine costs one call instead of ``runs``.
    """
    times: list[float] = []
    began = clock()
    while True:
        start = clock()
        result = call()
        end = clock()
        times.append((end - start) * 1000)
        if len(times) >= runs or end - began >= budget_s:
            return result, statistics.median(times)


def timed_predict(model: Classifier, batch: NDArray[np.float32], runs: int = 5,
                  budget_s: float = 0.05) -> tuple[NDArray[np.float32], float]:
    """Return the probabilities, float32 ``[n, k]``, and the median milliseconds of one ``predict``.

    Raises what :meth:`core.inference.classifier.Classifier.predict` raises.
    """
    return median_ms(lambda: model.predict(batch), runs, budget_s)
