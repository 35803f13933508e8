"""Timing inside one process: warm-up until stable, then models interleaved in random mirrored blocks.

Run as ``python -m core.measurement.stopwatch`` it reads one JSON request on stdin and writes raw
times on stdout, so that the timing process has nothing else to do.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

Run = Callable[[], object]
Clock = Callable[[], int]

WINDOW = 8
STABLE = 0.02
MOST_WARM_UP = 200
FEWEST_ROUNDS, MOST_ROUNDS = 10, 400


@dataclass(frozen=True)
class Times:
    """Raw times: per model the runs of its warm-up, and nanoseconds [rounds][2] for each."""

    warm_up: list[int]
    stable: list[bool]
    nanoseconds: list[list[list[int]]]


def warm_up(run: Run, clock: Clock, budget_s: float) -> tuple[int, bool]:
    """Run until the median of eight runs differs by less than 2 % from that of the eight before.

    Returns
    -------
    (int, bool)
        How many runs it took, and whether stability was reached before 200 runs or the budget.
    """
    times: list[int] = []
    start = clock()
    while len(times) < MOST_WARM_UP:
        before = clock()
        run()
        after = clock()
        times.append(after - before)
        if len(times) >= 2 * WINDOW:
            earlier = float(np.median(times[-2 * WINDOW : -WINDOW]))
            if abs(float(np.median(times[-WINDOW:])) - earlier) < STABLE * earlier:
                return len(times), True
        if after - start > budget_s * 1e9 and len(times) >= 2:
            break
    return len(times), False


def interleave(
    runs: Sequence[Run], seed: int, budget_s: float, clock: Clock = time.perf_counter_ns
) -> Times:
    """Time ``runs`` against each other for about ``budget_s`` seconds.

    Every round is a block that runs each model once in an order drawn at random and once more in
    the reverse order (A B C C B A, the mirrored blocks of ABBA designs): a drift of the machine
    within a round falls on all alike, and no model always follows the same other one. A quarter of
    the budget at most goes to warming up; at least ten rounds are made. Garbage collection is off
    meanwhile.
    """
    rng = np.random.default_rng(seed)
    start = clock()
    warm = [warm_up(run, clock, budget_s / 4 / len(runs)) for run in runs]
    found: list[list[list[int]]] = [[] for _ in runs]
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        while len(found[0]) < MOST_ROUNDS:
            order = rng.permutation(len(runs)).tolist()
            row: list[list[int]] = [[] for _ in runs]
            for i in order + order[::-1]:
                before = clock()
                runs[i]()
                row[i].append(clock() - before)
            for series, pair in zip(found, row, strict=True):
                series.append(pair)
            if clock() - start > budget_s * 1e9 and len(found[0]) >= FEWEST_ROUNDS:
                break
    finally:
        if enabled:
            gc.enable()
    return Times([n for n, _ in warm], [stable for _, stable in warm], found)


def runner(path: str, threads: int, seed: int) -> Run:
    """Return a call that runs the ``.tflite`` at ``path`` once on a fixed random input.

    Only ``invoke`` is in the call: filling the input and reading the output are not timed. Float
    inputs are uniform in [-1, 1], integer ones over their whole range.
    """
    return runner_of({"model_path": path}, threads, seed)


def runner_of(source: dict[str, Any], threads: int, seed: int) -> Run:
    """Return the call of ``runner`` for ``{"model_path": str}`` or ``{"model_content": bytes}``."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(num_threads=threads, **source)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(seed)
    for detail in interpreter.get_input_details():
        kind = np.dtype(detail["dtype"])
        values = rng.uniform(-1, 1, size=detail["shape"])
        if kind.kind in "iu":
            bounds = np.iinfo(kind)
            values = rng.integers(bounds.min, bounds.max, size=detail["shape"], endpoint=True)
        interpreter.set_tensor(detail["index"], values.astype(kind))
    return lambda: interpreter.invoke()


def main() -> None:
    """Answer one request ``{paths, threads, seed, budget_s}`` from stdin as JSON on stdout."""
    request = json.load(sys.stdin)
    runs = [runner(path, request["threads"], request["seed"]) for path in request["paths"]]
    times = interleave(runs, request["seed"], request["budget_s"])
    json.dump(asdict(times), sys.stdout)


if __name__ == "__main__":
    main()
