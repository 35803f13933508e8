"""Models of finished runs in other formats: made when somebody asks, one after the other, in a child process."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from core.accounts import Principal
from core.errors import NotFoundError
from core.experiments.runs import Failure
from core.experiments.service import Experiments
from core.jobs.child import Progress, run_child
from core.locales import N_
from core.settings import Settings

CHILD = "core.engine.exporting"
SOURCES = {"onnx": "model.tflite", "saved_model": "model.keras"}
"""Format to the file of the run that it is made from."""
KEPT = 20
"""Most conversions that are kept; older ones are made again when they are asked for."""
Status = Literal["none", "waiting", "running", "ready", "failed"]


class Export(BaseModel):
    """Where a conversion stands; ``checked`` tells on how many images it was compared and how far apart it is."""

    model_config = ConfigDict(frozen=True)

    status: Status = "none"
    stage: str = ""
    fraction: float = 0.0
    error: Failure | None = None
    path: Path | None = None
    checked: dict[str, Any] = {}


class Exports:
    """Conversions of one installation, kept in its data folder by the content that they were made from."""

    def __init__(self, experiments: Experiments, settings: Settings) -> None:
        self._experiments, self._settings = experiments, settings
        self._folder = settings.home / "exports"
        self._going: dict[str, Export] = {}
        self._lock = threading.Lock()
        self._turn = threading.Semaphore(1)

    def state(self, principal: Principal, run_id: str, form: str) -> Export:
        """Return where a conversion stands. NotFoundError for a run that is not one's own, or without that file."""
        key = self._key(principal, run_id, form)
        with self._lock:
            if key in self._going:
                return self._going[key]
        folder = self._folder / key
        with contextlib.suppress(OSError, ValueError):
            checked = json.loads((folder / "checked.json").read_text("utf-8"))
            if (folder / "result").is_file():
                return Export(status="ready", fraction=1.0, path=folder / "result", checked=checked)
        return Export()

    def start(self, principal: Principal, run_id: str, form: str) -> None:
        """Begin a conversion in the background, unless it is there or under way. NotFoundError as ``state``."""
        key = self._key(principal, run_id, form)
        if self.state(principal, run_id, form).status not in ("none", "failed"):
            return
        source = self._experiments.file(principal, run_id, SOURCES[form])
        with self._lock:
            if self._going.get(key, Export()).status in ("waiting", "running"):
                return
            self._going[key] = Export(status="waiting")
        threading.Thread(target=self._make, args=(key, form, source), name="export", daemon=True).start()

    def _make(self, key: str, form: str, source: Path) -> None:
        folder = self._folder / key
        failure: Failure | None = None
        try:
            with self._turn:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                order = {"format": form, "source": str(source.resolve())}
                (folder / "export.json").write_text(json.dumps(order), "utf-8")
                jobs = self._settings.jobs
                outcome = run_child(
                    CHILD, folder, jobs.memory_mb, jobs.threads_per_worker, lambda news: self._note(key, news))
                failure = outcome.error if not outcome.ok else None
                self._drop_old()
        except OSError as error:
            failure = Failure(message=N_("The disk refused: {reason}. Free some space and try again."),
                              parameters={"reason": error.strerror or type(error).__name__})
        with self._lock:
            if failure is None:
                del self._going[key]
            else:
                self._going[key] = Export(status="failed", error=failure)
        if failure is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _note(self, key: str, news: Progress) -> bool:
        with self._lock:
            self._going[key] = Export(status="running", stage=news.stage, fraction=news.fraction)
        return True

    def _drop_old(self) -> None:
        folders = sorted((f for f in self._folder.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime)
        for folder in folders[:-KEPT]:
            shutil.rmtree(folder, ignore_errors=True)

    def _key(self, principal: Principal, run_id: str, form: str) -> str:
        name = SOURCES.get(form)
        run = self._experiments.run(principal, run_id)
        for artifact in run.artifacts:
            if artifact.name == name:
                return f"{artifact.sha256[:40]}-{form}"
        raise NotFoundError(N_("Run {run} has no file '{name}'."), run=run.id[:8], name=name or form)
