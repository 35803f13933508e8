"""The most memory that loading and running a ``.tflite`` adds to a process.

Run as ``python -m core.measurement.memory`` it reads one JSON request on stdin and answers on
stdout: a fresh process has no earlier peak to hide behind.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from pathlib import Path

from core.measurement.child import ask
from core.measurement.stopwatch import runner

RUNS = 3
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory(path: Path, threads: int = 1) -> int:
    """Return the bytes that loading the model and three runs add at their peak.

    A fresh child imports NumPy and LiteRT, notes its resident size, resets the kernel's high-water
    mark, loads and runs the model, and reads the mark (``VmHWM`` of ``/proc/self/status``) again.
    Pages of the file that LiteRT maps count once they are touched, as they do for a server. Where
    the mark cannot be read or reset, the process's own peak (``getrusage``) serves instead.

    Raises
    ------
    InputError
        If the model does not run.
    """
    request = {"path": str(path.resolve()), "threads": threads}
    answer = ask("core.measurement.memory", request, timeout_s=120)
    return int(answer["peak"] - answer["before"])


def _kilobytes(field: str) -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(field + ":")), None)


def _peak_kilobytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def main() -> None:
    """Answer one request ``{path, threads}`` from stdin with ``{before, peak}`` in bytes."""
    # The libraries' own memory is no model's: they are loaded before the first look.
    importlib.import_module("ai_edge_litert.interpreter")
    request = json.load(sys.stdin)
    before = _kilobytes("VmRSS")
    try:
        _CLEAR.write_text("5")
    except OSError:
        before = None
    if before is None:
        before = _peak_kilobytes()
    run = runner(request["path"], request["threads"], seed=0)
    for _ in range(RUNS):
        run()
    peak = _kilobytes("VmHWM") or _peak_kilobytes()
    json.dump({"before": before * 1024, "peak": max(peak, before) * 1024}, sys.stdout)


if __name__ == "__main__":
    main()
