"""How far the preparation of a model is: one small JSON file, written by the worker, read by anyone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from core.locales import N_

FILE = "progress.json"
LOCK = ".lock"
STOPPED = N_("The preparation stopped before it finished. Start it again.")


class Progress(BaseModel):
    """One state of one preparation.

    ``stage`` and ``reason`` are English templates marked for translation, with ``parameters`` for ``reason``;
    ``fraction`` is the part done, 0 to 1; ``fingerprint`` tells which inputs it was about.
    """

    model: str
    state: Literal["running", "failed", "ready"]
    stage: str = ""
    fraction: float = Field(0.0, ge=0, le=1)
    reason: str = ""
    parameters: dict[str, int | float | str] = {}
    fingerprint: str = ""
    updated: str = Field(default_factory=lambda: datetime.now(UTC).isoformat())

    def explain(self, translate: Callable[[str], str]) -> str:
        """Return the stage, or the reason of a failure, in the language of ``translate``."""
        return translate(self.reason).format(**self.parameters) if self.reason else translate(self.stage)


def write_progress(folder: Path, progress: Progress) -> None:
    """Replace the progress file of ``folder`` in one step."""
    partial = folder / f".{FILE}.{os.getpid()}"
    partial.write_text(progress.model_dump_json(), "utf-8")
    partial.replace(folder / FILE)


def read_progress(folder: Path) -> Progress | None:
    """Return the last state, or None if there is none; a dead worker's "running" is a failure."""
    try:
        progress = Progress.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    if progress.state == "running" and not is_locked(folder):
        return progress.model_copy(update={"state": "failed", "reason": STOPPED, "parameters": {}})
    return progress


def is_locked(folder: Path) -> bool:
    """Say whether a worker is preparing in ``folder`` now; the system frees the lock of a dead one."""
    try:
        with (folder / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, waiting for another worker to finish first."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
