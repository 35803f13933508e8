"""How many multiply-accumulates must go for a share of the time to go: bisection on files that LiteRT really runs.

Time does not follow multiply-accumulates: wide early layers wait for memory, and kernels work on tiles of channels. So
smaller models are built, converted and timed against the whole one, alternating in one process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.errors import InputError
from core.locales import N_
from core.measurement.latency import compare_latency

STEPS = 5
_BUDGET_S = 4.0


def faster(baseline: Path, smaller: Path) -> float:
    """Return how many times less time ``smaller`` takes, on one thread."""
    return compare_latency(baseline, smaller, budget_s=_BUDGET_S).ratio.value


def fraction_for_time(
    build: Callable[[float], bytes], whole: bytes, wanted: float, highest: float, folder: Path,
    check: Callable[[], None] = lambda: None, ratio: Callable[[Path, Path], float] = faster,
) -> tuple[float, list[tuple[float, float]]]:
    """Return the least fraction of multiply-accumulates found whose removal takes ``wanted`` of the time away.

    Parameters
    ----------
    build
        Makes the ``.tflite`` file without a fraction of the multiply-accumulates.
    whole
        The file to be faster than.
    wanted
        Fraction of the time that is to go.
    highest
        Largest fraction that can be removed.
    folder
        For the files.
    ratio
        Times two files; how many times less time the second takes.

    Returns
    -------
    tuple
        The fraction, and each (fraction of multiply-accumulates gone, fraction of the time gone) that was measured.

    Raises
    ------
    InputError
        If not so much time goes even at ``highest``.
    """
    baseline, smaller = folder / "whole.tflite", folder / "smaller.tflite"
    baseline.write_bytes(whole)
    measured: list[tuple[float, float]] = []

    def gone(fraction: float) -> float:
        check()
        smaller.write_bytes(build(fraction))
        measured.append((fraction, 1 - 1 / ratio(baseline, smaller)))
        return measured[-1][1]

    try:
        low, high = 0.0, min(highest, 1.5 * wanted)
        if gone(high) < wanted:
            low, high = high, highest
            if low == highest or gone(high) < wanted:
                raise InputError(
                    N_("Channel pruning cannot take {wanted} of the time away: with one channel left in every layer, "
                       "{most} was gone. Ask for less."),
                    wanted=f"{wanted:.0%}", most=f"{max(0.0, max(t for _, t in measured)):.0%}")
        for _ in range(STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if gone(middle) >= wanted else (middle, high)
    finally:
        for path in (baseline, smaller):
            path.unlink(missing_ok=True)
    return high, measured
