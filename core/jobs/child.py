"""One run in a process of its own: TensorFlow's memory goes when it ends, and its death hurts nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
from pydantic import BaseModel

from core.experiments.runs import Failure
from core.locales import N_
from core.settings import ROOT

GRACE_SECONDS = 3.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """Where a run stands. ``seconds_left`` is an estimate from the pace so far, None while unknown."""

    stage: str = ""
    fraction: float = 0.0
    seconds_left: float | None = None


class Outcome(BaseModel):
    """What came of the process: ``ok``, ``stopped`` on request, or a failure. ``log`` is its standard error."""

    ok: bool
    stopped: bool = False
    error: Failure | None = None
    log: str = ""


def run_child(
    module: str,
    folder: Path,
    memory_mb: int,
    threads: int,
    on_progress: Callable[[Progress], bool],
) -> Outcome:
    """Run ``python -m module folder`` and watch it.

    The child writes JSON lines on its standard output: ``{"stage", "fraction", "seconds_left"}`` while it works and
    ``{"error": {"message", "parameters"}}`` when it gives up. It holds the other end of our pipe on its standard
    input and must end when that closes, so it never outlives this process.

    Parameters
    ----------
    memory_mb
        Resident size at which the child is stopped and the run fails for want of memory.
    on_progress
        Called about every second with the latest news; when it returns False the child is asked to stop
        (SIGTERM) and killed after a grace of three seconds.
    """
    log_path = folder / "log.txt"
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads), "TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1",
    }
    with log_path.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", module, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, env=environment,
            start_new_session=True,
        )
        try:
            stopped, error = _watch(process, memory_mb, on_progress)
        finally:
            _kill(process)
    return Outcome(
        ok=process.returncode == 0 and not stopped and error is None,
        stopped=stopped,
        error=error or (None if process.returncode == 0 or stopped else _death(process.returncode)),
        log=log_path.read_text("utf-8", errors="replace"),
    )


def _watch(
    process: subprocess.Popen[bytes], memory_mb: int, on_progress: Callable[[Progress], bool]
) -> tuple[bool, Failure | None]:
    lines: queue.Queue[bytes] = queue.Queue()
    assert process.stdout is not None  # noqa: S101 - for the type checker
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    progress, error, told = Progress(), None, 0.0
    while True:
        with contextlib.suppress(queue.Empty):
            progress, error = _understand(lines.get(timeout=POLL_SECONDS), progress, error)
            while not lines.empty():
                progress, error = _understand(lines.get_nowait(), progress, error)
        if process.poll() is not None and not reader.is_alive() and lines.empty():
            return False, error
        if process.poll() is None and _resident_mb(process.pid) > memory_mb:
            _kill(process)
            return False, Failure(
                message=N_("The run needed more than {memory} MB of memory. Try fewer images or a smaller model."),
                parameters={"memory": memory_mb},
            )
        if time.monotonic() - told >= 1.0:
            told = time.monotonic()
            if not on_progress(progress):
                _stop(process)
                return True, None


def _read(stream: IO[bytes], lines: queue.Queue[bytes]) -> None:
    for line in stream:
        lines.put(line)


def _understand(line: bytes, progress: Progress, error: Failure | None) -> tuple[Progress, Failure | None]:
    try:
        news = json.loads(line)
        if "error" in news:
            return progress, Failure(**news["error"])
        return Progress(str(news["stage"]), float(news["fraction"]), news.get("seconds_left")), error
    except (ValueError, KeyError, TypeError):
        return progress, error


def _resident_mb(pid: int) -> float:
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
        return sum(p.memory_info().rss for p in family) / 1e6
    except psutil.Error:
        return 0.0


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _death(code: int) -> Failure:
    if code == -signal.SIGKILL:
        return Failure(
            message=N_("The process was killed, most likely for want of memory. Try fewer images or a smaller model.")
        )
    return Failure(
        message=N_("The process ended unexpectedly (code {code}). The log of the run says more."),
        parameters={"code": code},
    )
