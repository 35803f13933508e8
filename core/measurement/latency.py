"""How fast a model answers, and whether the difference from the baseline can be told from noise."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.measurement.child import ask
from core.measurement.statistics import Interval, median_ratio, noise_floor
from core.measurement.stopwatch import Times

Verdict = Literal["faster", "slower", "not distinguishable"]
BUDGET_S = 10.0


class Latency(BaseModel):
    """The latency part of a run's record: milliseconds of one image over ``n`` timed runs."""

    model_config = ConfigDict(frozen=True)

    p50: float
    p95: float
    n: int
    threads: int


class LatencyComparison(BaseModel):
    """Baseline against compressed in one process.

    ``ratio`` is baseline / compressed: above 1 is faster. ``noise_floor`` is how far from 1 the
    ratio of the baseline with a second copy of itself came in the same rounds. ``stable`` says
    whether both reached a steady speed in their warm-up.
    """

    model_config = ConfigDict(frozen=True)

    baseline: Latency
    compressed: Latency
    ratio: Interval
    verdict: Verdict
    noise_floor: float
    rounds: int
    stable: bool


def verdict(ratio: Interval, floor: float = 0.0) -> Verdict:
    """Judge a ratio baseline / compressed.

    "not distinguishable" where the interval contains 1, or the ratio is no further from 1 than a
    model's ratio with itself.
    """
    if ratio.contains(1.0) or abs(ratio.value - 1) <= floor:
        return "not distinguishable"
    return "faster" if ratio.value > 1 else "slower"


def summarize(nanoseconds: object, threads: int) -> Latency:
    """Return the percentiles of raw times of any shape, in nanoseconds."""
    milliseconds = np.asarray(nanoseconds, np.float64).reshape(-1) / 1e6
    p50, p95 = np.percentile(milliseconds, [50, 95])
    return Latency(p50=float(p50), p95=float(p95), n=milliseconds.size, threads=threads)


def judge(times: Times, threads: int, seed: int) -> LatencyComparison:
    """Turn raw times of (baseline, baseline again, compressed) into a comparison."""
    rng = np.random.default_rng(seed)
    first, twin, compressed = (np.asarray(t, np.float64) for t in times.nanoseconds)
    floor = noise_floor(median_ratio(first, twin, rng))
    ratio = median_ratio(first, compressed, rng)
    return LatencyComparison(
        baseline=summarize(first, threads),
        compressed=summarize(compressed, threads),
        ratio=ratio,
        verdict=verdict(ratio, floor),
        noise_floor=floor,
        rounds=len(first),
        stable=times.stable[0] and times.stable[2],
    )


def compare_latency(
    baseline: Path, compressed: Path, threads: int = 1, seed: int = 0, budget_s: float = BUDGET_S
) -> LatencyComparison:
    """Time two ``.tflite`` files against each other in one fresh child process.

    Raises
    ------
    InputError
        If a model does not run, or takes so long that ten rounds do not fit into ten budgets.
    """
    paths = [baseline, baseline, compressed]
    return judge(_time(paths, threads, seed, budget_s), threads, seed)


def measure_latency(
    path: Path, threads: int = 1, seed: int = 0, budget_s: float = BUDGET_S
) -> Latency:
    """Time one ``.tflite`` file alone in a fresh child process; errors as ``compare_latency``."""
    return summarize(_time([path], threads, seed, budget_s).nanoseconds[0], threads)


def _time(paths: list[Path], threads: int, seed: int, budget_s: float) -> Times:
    request = {
        "paths": [str(path.resolve()) for path in paths],
        "threads": threads,
        "seed": seed,
        "budget_s": budget_s,
    }
    answer = ask("core.measurement.stopwatch", request, timeout_s=60 + 10 * budget_s)
    return Times(**answer)
