"""The child process that prepares models: it alone imports TensorFlow, and may die without harm to us."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from core.errors import InputError, StorageError
from core.locales import N_
from core.settings import ROOT, Settings
from core.zoo.progress import STOPPED, Progress

WALL_S = 3600  # half a minute on an idle machine; an hour is a hang
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT")


@dataclass(frozen=True)
class Child:
    """A running ``python -m core.engine.prepare``. It ends when this process does, or when the object is let go."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, settings: Settings, names: Sequence[str]) -> Child:
        """Start it for ``names``. It sees no secret of this process: only what it needs of the environment.

        Raises StorageError if the system cannot start a process or the data folder cannot be made.
        """
        environment = {key: os.environ[key] for key in KEPT if key in os.environ}
        environment |= {
            "SECATEUR_HOME": str(settings.home),
            "SECATEUR_MODELS_FOLDER": str(settings.models_folder),
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_NUM_INTRAOP_THREADS": "2",
            "TF_NUM_INTEROP_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            # Threads that start with an import would escape the sandbox of a user's model.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        try:
            (settings.home / "models").mkdir(parents=True, exist_ok=True)
            with (settings.home / "models" / "prepare.log").open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 - our own module, arguments are names of cards
                    [sys.executable, "-m", "core.engine.prepare", "--with-parent", *names],
                    cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=log, text=True, encoding="utf-8", start_new_session=True,
                )
        except OSError as error:
            raise StorageError(
                N_("The models cannot be prepared: {reason}. Check the data folder."),
                reason=error.strerror or str(error),
            ) from error
        return cls(process)

    def wait(self, progress: Callable[[Progress], None] | None = None) -> None:
        """Pass on each line of progress until it ends, or kill it after an hour.

        Raises InputError with the first failure.
        """
        timer = threading.Timer(WALL_S, self.kill)
        timer.daemon = True
        timer.start()
        try:
            self._follow(progress)
        finally:
            timer.cancel()
            if self.process.stdin is not None:
                self.process.stdin.close()

    def kill(self) -> None:
        """End it and whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _follow(self, progress: Callable[[Progress], None] | None) -> None:
        failure: Progress | None = None
        assert self.process.stdout is not None  # noqa: S101 - opened as a pipe above
        with self.process.stdout as lines:
            for line in lines:
                try:
                    step = Progress.model_validate_json(line)
                except ValidationError:
                    continue
                if step.state == "failed" and failure is None:
                    failure = step
                if progress is not None:
                    progress(step)
        code = self.process.wait()
        if failure is not None:
            raise InputError(failure.reason, **failure.parameters)
        if code != 0:
            raise InputError(STOPPED)
