"""What a worker does with a run id: take the run, carry it out in a child process, store what came of it."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

from sqlalchemy import Engine, select

from core.database import connect, reading
from core.errors import SecateurError
from core.experiments.runs import Artifact, Failure, RunRequest
from core.experiments.tables import RunRow
from core.jobs import leases
from core.jobs.child import Progress, run_child
from core.locales import N_
from core.settings import Settings, settings
from core.storage import Storage

CHILD = "core.engine.execute"
_log = logging.getLogger(__name__)


def execute(run_id: str) -> None:
    """Carry out the run with this id, if nobody else has taken it. The entry point of every Dask task."""
    configured = settings()
    engine = connect(configured.database_url)
    try:
        carry_out(run_id, engine, Storage(configured.storage_url), configured)
    finally:
        engine.dispose()


def carry_out(run_id: str, engine: Engine, storage: Storage, configured: Settings) -> None:
    """Take the run and see it through. An interrupted run goes on from the last step kept in its folder."""
    taken = leases.take(engine, run_id)
    if taken is None:
        return
    attempt, request = taken
    folder = run_folder(configured, run_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "request.json").write_text(request.model_dump_json(), "utf-8")
        if request.made_in is not None:
            _bring(engine, storage, run_id, request.made_in, folder / "made")
        outcome = run_child(
            CHILD, folder, configured.jobs.memory_mb, configured.jobs.threads_per_worker,
            lambda progress: _beat(engine, run_id, attempt, progress),
        )
        if outcome.ok:
            _keep(run_id, attempt, engine, storage, folder, request, outcome.log)
        else:
            leases.finish(engine, run_id, attempt, error=outcome.error, log=outcome.log)
    except SecateurError as error:
        leases.finish(engine, run_id, attempt, error=Failure(message=error.message, parameters=error.parameters))
    except OSError as error:
        _log.exception("run %s", run_id)
        failure = Failure(
            message=N_("The disk refused: {reason}. Free some space and run it again."),
            parameters={"reason": error.strerror or type(error).__name__},
        )
        leases.finish(engine, run_id, attempt, error=failure)
    shutil.rmtree(folder, ignore_errors=True)


def _bring(engine: Engine, storage: Storage, run_id: str, made_in: str, folder: Path) -> None:
    """Put what another run of the same owner made into ``folder``; without its files the recipe is carried out again.
    """
    with reading(engine) as session:
        owner = session.scalar(select(RunRow.owner_id).where(RunRow.id == run_id))
        row = session.scalar(select(RunRow).where(RunRow.id == made_in, RunRow.owner_id == owner))
        names = {} if row is None else {a.name: a.sha256 for a in row.artifacts}
        record = None if row is None else row.record
    if record is None or "model.tflite" not in names:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in {"model.tflite", "model.keras", "recipe.yaml"} & names.keys():
        shutil.copyfile(storage.path(names[name]), folder / name)
    (folder / "run.json").write_text(json.dumps(record), "utf-8")


def run_folder(configured: Settings, run_id: str) -> Path:
    """Return the scratch folder of a run; it outlives a lost worker so that the next one can go on."""
    return configured.home / "runs" / run_id


def _beat(engine: Engine, run_id: str, attempt: int, progress: Progress) -> bool:
    return leases.beat(engine, run_id, attempt, progress.stage, progress.fraction, progress.seconds_left)


def _keep(
    run_id: str, attempt: int, engine: Engine, storage: Storage, folder: Path, request: RunRequest, log: str
) -> None:
    record = json.loads((folder / "run.json").read_text("utf-8"))
    results = sorted(path for path in (folder / "artifacts").iterdir() if path.is_file())
    artifacts = []
    for path in results:
        stored = storage.put(path)
        artifacts.append(Artifact(name=path.name, bytes=stored.bytes, sha256=stored.sha256))
    record |= {"id": run_id, "seed": request.seed, "artifacts": [a.model_dump() for a in artifacts]}
    leases.finish(engine, run_id, attempt, record=record, artifacts=artifacts, log=log)
