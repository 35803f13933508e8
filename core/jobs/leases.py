"""Who holds which run: every change of a run's state is one compare-and-set in the database.

A worker holds a run by its attempt number. It beats every second; a run whose beat is older than ``LOST_AFTER``
is taken from it. All later writes of the old holder name the old attempt and change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, select, update

from core.database import now, reading, transaction
from core.experiments.runs import Artifact, Failure, RunRequest
from core.experiments.tables import ArtifactRow, RunRow
from core.locales import N_

LOST_AFTER = timedelta(seconds=20)
ATTEMPTS = 3
LOG_CHARACTERS = 20_000


def next_runs(engine: Engine, capacity: int, running_per_owner: int) -> list[str]:
    """Return ids of queued runs to start, at most ``capacity``, fair between owners.

    The owner who has the fewest runs going, then the one whose last run began longest ago, goes first.
    """
    with reading(engine) as session:
        going = select(RunRow.owner_id, func.count()).where(RunRow.status == "running").group_by(RunRow.owner_id)
        running: dict[str, int] = dict(session.execute(going).all())
        latest = select(RunRow.owner_id, func.max(RunRow.started_at)).group_by(RunRow.owner_id)
        last: dict[str, datetime | None] = dict(session.execute(latest).all())
        waiting: dict[str, list[str]] = {}
        query = select(RunRow.owner_id, RunRow.id).where(RunRow.status.in_(("queued", "interrupted")))
        for owner, run_id in session.execute(query.order_by(RunRow.created_at, RunRow.id)):
            waiting.setdefault(owner, []).append(run_id)
    chosen: list[str] = []
    while len(chosen) < capacity:
        ready = [o for o, ids in waiting.items() if ids and running.get(o, 0) < running_per_owner]
        if not ready:
            break
        owner = min(ready, key=lambda o: (running.get(o, 0), str(last.get(o) or "")))
        chosen.append(waiting[owner].pop(0))
        running[owner] = running.get(owner, 0) + 1
    return chosen


def take(engine: Engine, run_id: str) -> tuple[int, RunRequest] | None:
    """Take a queued run; return the attempt number that now holds it and its request, or None if it is taken."""
    with transaction(engine) as session:
        changed = session.execute(
            update(RunRow)
            .where(RunRow.id == run_id, RunRow.status.in_(("queued", "interrupted")))
            .values(
                status="running", attempt=RunRow.attempt + 1, heartbeat_at=now(), stage="", fraction=0.0,
                seconds_left=None, started_at=func.coalesce(RunRow.started_at, now()),
            )
        )
        if changed.rowcount != 1:  # type: ignore[attr-defined]
            return None
        row = session.get_one(RunRow, run_id)
        return row.attempt, RunRequest(**row.request)


def beat(
    engine: Engine, run_id: str, attempt: int, stage: str, fraction: float, seconds_left: float | None
) -> bool:
    """Say that the run goes on. Return False if it must stop: cancelled, deleted or given to another worker."""
    with transaction(engine) as session:
        changed = session.execute(
            update(RunRow)
            .where(
                RunRow.id == run_id, RunRow.attempt == attempt, RunRow.status == "running",
                RunRow.cancel_requested.is_(False),
            )
            .values(heartbeat_at=now(), stage=stage[:200], fraction=fraction, seconds_left=seconds_left)
        )
        return bool(changed.rowcount == 1)  # type: ignore[attr-defined]


def finish(
    engine: Engine,
    run_id: str,
    attempt: int,
    *,
    record: dict[str, Any] | None = None,
    artifacts: Sequence[Artifact] = (),
    error: Failure | None = None,
    log: str = "",
) -> bool:
    """End a run with its record and files, with an error, or, when asked to cancel, as cancelled.

    A run that finished before it saw the request to cancel keeps its result. Returns False if the run was not
    held any more; then nothing is written.
    """
    with transaction(engine) as session:
        row = session.scalar(
            select(RunRow).where(RunRow.id == run_id, RunRow.attempt == attempt, RunRow.status == "running")
            .with_for_update()
        )
        if row is None:
            return False
        row.finished_at, row.log, row.seconds_left = now(), log[-LOG_CHARACTERS:], None
        if record is not None:
            row.status, row.record, row.fraction = "finished", record, 1.0
            row.artifacts = [ArtifactRow(name=a.name, bytes=a.bytes, sha256=a.sha256) for a in artifacts]
        elif row.cancel_requested:
            row.status = "cancelled"
        else:
            row.status = "failed"
            row.error = error.model_dump(mode="json") if error else None
        return True


def recover(engine: Engine, run_ids: Sequence[str] | None = None) -> list[str]:
    """Put runs of lost workers back into the queue, or end them after too many attempts.

    With ``run_ids``, only these, and whatever their last beat: for a worker that is known to be dead.
    """
    recovered: list[str] = []
    query = select(RunRow).where(RunRow.status == "running")
    if run_ids is None:
        query = query.where(RunRow.heartbeat_at < now() - LOST_AFTER)
    else:
        query = query.where(RunRow.id.in_(run_ids))
    with reading(engine) as session:
        if session.scalar(query.limit(1)) is None:
            return recovered
    with transaction(engine) as session:
        for row in session.scalars(query.with_for_update()):
            recovered.append(row.id)
            if row.cancel_requested:
                row.status, row.finished_at = "cancelled", now()
            elif row.attempt >= ATTEMPTS:
                row.status, row.finished_at = "failed", now()
                row.error = Failure(
                    message=N_(
                        "The run was cut off {attempts} times: the app was stopped, or memory ran out. Run it "
                        "again; if that does not help, try fewer images or a smaller model."
                    ),
                    parameters={"attempts": row.attempt},
                ).model_dump()
            else:
                row.status = "interrupted"
    return recovered


def unfinished(engine: Engine) -> int:
    """Return how many runs still have to be carried out."""
    with reading(engine) as session:
        return int(
            session.scalar(
                select(func.count()).where(RunRow.status.in_(("queued", "running", "interrupted")))
            ) or 0
        )
