"""Timing on a clock that the test turns by hand, then once on real files without judging speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from core.measurement.latency import compare_latency, judge, measure_latency, summarize, verdict
from core.measurement.memory import peak_memory
from core.measurement.statistics import Interval
from core.measurement.stopwatch import Times, interleave, warm_up


class Machine:
    """A machine whose time passes only in models; it slows down as it goes."""

    def __init__(self, drift: float = 0.0, noise: float = 0.0) -> None:
        self.now, self.drift, self.noise = 0, drift, noise
        self.calls: list[str] = []
        self.rng = np.random.default_rng(0)

    def clock(self) -> int:
        return self.now

    def model(self, name: str, milliseconds: float) -> Callable[[], None]:
        def run() -> None:
            self.calls.append(name)
            slow = 1 + self.drift * len(self.calls)
            self.now += int(milliseconds * 1e6 * slow * self.rng.lognormal(0, self.noise))
        return run


def test_rounds_are_mirrored_random_and_seeded() -> None:
    def order(seed: int) -> list[str]:
        machine = Machine()
        runs = [machine.model(name, 5) for name in "ABC"]
        times = interleave(runs, seed, budget_s=2, clock=machine.clock)
        return machine.calls[sum(times.warm_up):]

    calls = order(1)
    blocks = ["".join(calls[i:i + 6]) for i in range(0, len(calls), 6)]
    assert all(block == block[::-1] and set(block) == set("ABC") for block in blocks)
    assert len(set(blocks)) > 2
    assert calls == order(1)
    assert calls != order(2)


def test_drift_of_the_machine_cancels() -> None:
    machine = Machine(drift=0.002, noise=0.01)
    runs = [machine.model("A", 4), machine.model("A2", 4), machine.model("B", 2)]
    found = judge(interleave(runs, 0, 5, machine.clock), threads=1, seed=0)
    assert found.ratio.value == pytest.approx(2, rel=0.02)
    assert found.verdict == "faster"
    assert found.noise_floor < 0.05
    assert found.baseline.n == 2 * found.rounds


def test_equal_models_are_not_distinguishable() -> None:
    hits = 0
    for seed in range(10):
        machine = Machine(noise=0.05)
        machine.rng = np.random.default_rng(seed)
        runs = [machine.model(name, 4) for name in "ATB"]
        found = judge(interleave(runs, seed, 3, machine.clock), threads=1, seed=seed)
        hits += found.verdict == "not distinguishable"
    assert hits >= 9


def test_warm_up_ends_when_stable_or_at_the_cap() -> None:
    machine = Machine()
    cold = iter([20.0] * 10 + [5.0] * 1000)

    def run() -> None:
        machine.now += int(next(cold) * 1e6)

    runs, stable = warm_up(run, machine.clock, budget_s=100)
    assert stable
    assert 16 <= runs < 30
    growing = iter(1.1 ** np.arange(1000))

    def never() -> None:
        machine.now += int(next(growing) * 1e5)

    assert warm_up(never, machine.clock, budget_s=1e9) == (200, False)


def test_the_budget_ends_the_rounds_but_ten_are_made() -> None:
    machine = Machine()
    slow = interleave([machine.model("A", 1000)], 0, 1, machine.clock)
    assert len(slow.nanoseconds[0]) == 10
    machine = Machine()
    interleave([machine.model("A", 5)], 0, 2, machine.clock)
    assert machine.now < 2.2e9


@pytest.mark.parametrize(
    ("ratio", "floor", "expected"),
    [
        ((1.5, 1.4, 1.6), 0.02, "faster"),
        ((0.7, 0.6, 0.8), 0.02, "slower"),
        ((1.02, 0.99, 1.05), 0.0, "not distinguishable"),
        ((1.02, 1.01, 1.03), 0.04, "not distinguishable"),
    ],
)
def test_verdicts(ratio: tuple[float, float, float], floor: float, expected: str) -> None:
    value, low, high = ratio
    assert verdict(Interval(value=value, low=low, high=high), floor) == expected


def test_percentiles_are_in_milliseconds() -> None:
    found = summarize([[1_000_000, 2_000_000], [3_000_000, 100_000_000]], threads=2)
    assert (found.p50, found.n, found.threads) == (2.5, 4, 2)
    assert found.p95 > 80
    assert judge(Times([1, 1, 1], [True, True, False], [[[1, 1]]] * 3), 1, 0).stable is False


def test_real_files_are_timed_in_a_child(forms: Path) -> None:
    found = compare_latency(forms / "float.tflite", forms / "int8.tflite", budget_s=0.3)
    assert found.rounds >= 10
    assert found.ratio.low <= found.ratio.value <= found.ratio.high
    assert 0 < found.compressed.p50 <= found.compressed.p95
    assert measure_latency(forms / "int8-float-io.tflite", budget_s=0.2).threads == 1


def test_memory_is_measured_in_a_child(forms: Path) -> None:
    peak = peak_memory(forms / "float.tflite")
    assert (forms / "float.tflite").stat().st_size < peak < 200_000_000


def test_a_file_that_does_not_run_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"\0\0\0\0TFL3" + bytes(100))
    with pytest.raises(InputError, match="could not be run"):
        peak_memory(path)
