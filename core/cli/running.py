"""Runs from a terminal: queue them, follow them to their end, and write what they made into a folder."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError, SecateurError
from core.locales import N_, translator

if TYPE_CHECKING:
    from core.experiments.runs import Run, RunRequest
    from core.experiments.service import Experiments
    from core.settings import Settings

POLL_SECONDS = 0.5
COPIED = ("model.tflite", "recipe.yaml")


@dataclass(frozen=True)
class Bench:
    """The services that runs need, for the operator of the command line."""

    experiments: Experiments
    settings: Settings
    wake: Callable[[], None] = lambda: None


@contextmanager
def bench(*, works: bool) -> Iterator[Bench]:
    """Open the database and the storage; with ``works`` also carry runs out until the block ends."""
    from core.accounts import Accounts
    from core.database import connect, migrate
    from core.experiments.service import Experiments
    from core.jobs import Queue
    from core.settings import settings
    from core.storage import Storage

    configured = settings()
    engine = connect(configured.database_url)
    migrate(engine)
    storage = Storage(configured.storage_url)
    queue = Queue(engine, storage, configured)
    wake = queue.wake if works else (lambda: None)
    try:
        yield Bench(Experiments(engine, storage, Accounts(engine, configured), configured, wake), configured, wake)
    finally:
        if works:
            queue.close()
        engine.dispose()


def follow(bench: Bench, runs: Sequence[Run]) -> list[Run]:
    """Wait until every run has ended, showing progress on stderr; an interrupt cancels them and is raised again."""
    from core.accounts import LOCAL

    said: dict[str, str] = {}
    translate = translator(bench.settings.language)
    try:
        while True:
            now = [bench.experiments.run(LOCAL, run.id) for run in runs]
            for run in now:
                _show(run, translate, said)
            if all(run.finished for run in now):
                if sys.stderr.isatty():
                    sys.stderr.write("\n")
                return now
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        for run in runs:
            bench.experiments.cancel(LOCAL, run.id)
        raise


def _show(run: Run, translate: Any, said: dict[str, str]) -> None:
    if run.status != "running":
        return
    left = "" if run.seconds_left is None else f", {run.seconds_left:.0f} s"
    line = f"{run.name}: {run.fraction:4.0%} {translate(run.stage)}{left}"
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r" + line[:width].ljust(width))
    elif said.get(run.id) != run.stage:
        sys.stderr.write(line + "\n")
    said[run.id] = run.stage
    sys.stderr.flush()


def require_finished(run: Run) -> dict[str, Any]:
    """Return the record of a run that finished.

    Raises
    ------
    InputError
        With the run's own sentence if it failed or was cancelled.
    """
    if run.record is not None:
        return run.record
    if run.error is not None:
        raise InputError(run.error.message, **run.error.parameters)
    raise InputError(N_("Run {run} was cancelled. Start it again to have its result."), run=run.id[:8])


def write_out(bench: Bench, run: Run, folder: Path) -> None:
    """Write ``model.tflite``, ``recipe.yaml``, ``run.json`` and ``report.html`` of a finished run into ``folder``."""
    from core.accounts import LOCAL
    from core.experiments.report import report

    record = require_finished(run)
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copyfile(bench.experiments.file(LOCAL, run.id, name), folder / name)
    (folder / "run.json").write_text(json.dumps(record, indent=2), "utf-8")
    details = json.loads(bench.experiments.file(LOCAL, run.id, "details.json").read_text("utf-8"))
    (folder / "report.html").write_text(report(run, details, bench.settings.language), "utf-8")


def submit(bench: Bench, requests: Sequence[RunRequest], name: str = "") -> list[Run]:
    """Prepare the models that the requests name, check each recipe against its model, and queue the runs.

    Raises
    ------
    SecateurError
        If a model, its data or the recipe cannot be used.
    """
    from core.accounts import LOCAL
    from core.datasets import open_dataset

    prepare(bench, [request.model for request in requests])
    for spec in {r.data for r in requests} | {r.calibration for r in requests if r.calibration}:
        open_dataset(spec, bench.settings)
    return bench.experiments.submit(LOCAL, requests, name)


def prepare(bench: Bench, models: Sequence[str]) -> None:
    """Prepare models that are not ready yet, with progress on stderr. Raises as the library does."""
    from core.cli.output import follow as follow_preparation
    from core.zoo import Library

    library = Library(bench.settings)
    for model in dict.fromkeys(name.partition(":")[0] for name in models):
        library.card(model)
        if library.status(model) != "ready":
            library.prepare(follow_preparation(bench.settings.language), [model])


def failures(runs: Sequence[Run]) -> list[SecateurError]:
    """Return the errors of the runs that did not finish."""
    found: list[SecateurError] = []
    for run in runs:
        try:
            require_finished(run)
        except SecateurError as error:
            found.append(error)
    return found
