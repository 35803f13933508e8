"""What a signed-in person may do with runs. Someone else's run looks exactly like one that does not exist."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, delete, func, or_, select
from sqlalchemy.orm import Session

from core.accounts import Accounts, Principal
from core.database import now, reading, serialise, transaction
from core.errors import BusyError, InputError, NotFoundError
from core.experiments.runs import UNFINISHED, Artifact, Failure, Run, RunRequest
from core.experiments.subjects import check_subjects
from core.experiments.tables import ArtifactRow, RunRow, UploadRow
from core.experiments.uploads import stored_bytes
from core.locales import N_
from core.recipes import load_recipe
from core.settings import Settings
from core.storage import Storage

EXAMPLE = "example"
"""The owner of the runs that everybody may see and nobody may change."""


def as_run(row: RunRow) -> Run:
    """Return the plain description of a row."""
    return Run(
        id=row.id, name=row.name, request=RunRequest(**row.request), status=row.status,
        stage=row.stage, fraction=row.fraction, seconds_left=row.seconds_left, attempt=row.attempt,
        created_at=row.created_at, started_at=row.started_at, finished_at=row.finished_at,
        record=row.record, error=Failure(**row.error) if row.error else None, log=row.log, estimate=row.estimate,
        artifacts=tuple(Artifact(name=a.name, bytes=a.bytes, sha256=a.sha256) for a in row.artifacts),
    )


class Experiments:
    """Runs of one installation.

    ``wake`` is called after a run was queued, so that whoever carries runs out looks at the queue at once.
    Every method first has ``accounts`` check that the principal's session is still alive.
    """

    def __init__(
        self,
        engine: Engine,
        storage: Storage,
        accounts: Accounts,
        settings: Settings,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._storage = storage
        self._accounts = accounts
        self._settings = settings
        self._wake = wake
        accounts.on_delete(_forget)

    def submit(
        self,
        principal: Principal,
        requests: Sequence[RunRequest],
        name: str = "",
        estimates: Sequence[dict[str, Any] | None] = (),
    ) -> list[Run]:
        """Queue one run per request, all or none.

        Parameters
        ----------
        name
            What to call the runs; by default each is called as its recipe.
        estimates
            What is expected of each run, kept beside what will be measured.

        Raises
        ------
        InputError, NotFoundError
            If a recipe cannot work, or the person may not use the model or the data; nothing is queued.
        BusyError
            If the account's quota of queued runs or of stored bytes would be exceeded.
        """
        principal = self._accounts.require(principal)
        check_subjects(principal, requests, self._engine, self._settings)
        with transaction(self._engine) as session:
            self._quota(session, principal.user_id, len(requests))
            runs = enqueue(session, principal.user_id, requests, name, estimates)
        self._wake()
        return runs

    def make_example(self, requests: Sequence[RunRequest]) -> list[Run]:
        """Queue the worked example that everybody sees, unless there is one; return the runs that were queued."""
        if self.example(1):
            return []
        with transaction(self._engine) as session:
            serialise(session, "example runs")
            if session.scalar(select(RunRow.id).where(RunRow.owner_id == EXAMPLE).limit(1)) is not None:
                return []
            runs = enqueue(session, EXAMPLE, requests)
        self._wake()
        return runs

    def example(self, limit: int = 50) -> list[Run]:
        """Return the runs of the worked example, newest first; anybody may see them."""
        query = select(RunRow).where(RunRow.owner_id == EXAMPLE).order_by(RunRow.created_at.desc(), RunRow.id)
        with reading(self._engine) as session:
            return [as_run(row) for row in session.scalars(query.limit(limit))]

    def _quota(self, session: Session, user_id: str, more: int) -> None:
        quota = self._settings.quotas
        waiting = session.scalar(
            select(func.count()).where(RunRow.owner_id == user_id, RunRow.status.in_(UNFINISHED))
        ) or 0
        if waiting + more > quota.queued_runs:
            raise BusyError(
                N_("You have {waiting} runs waiting and may have {most}. Wait for one to finish or cancel one."),
                waiting=waiting, most=quota.queued_runs,
            )
        stored = stored_bytes(session, user_id)
        if stored > quota.stored_mb * 1e6:
            raise BusyError(
                N_("Your runs hold {stored} MB and may hold {most}. Delete runs that you no longer need."),
                stored=round(stored / 1e6), most=round(quota.stored_mb),
            )

    def runs(
        self, principal: Principal, *, status: Sequence[str] = (), model: str = "", data: str = "", limit: int = 50,
        offset: int = 0, with_example: bool = False
    ) -> list[Run]:
        """Return one's runs, newest first: of one model or data if named, the example's too ``with_example``."""
        principal = self._accounts.require(principal)
        owners = (principal.user_id, EXAMPLE) if with_example else (principal.user_id,)
        query = select(RunRow).where(RunRow.owner_id.in_(owners))
        if model:
            query = query.where(RunRow.model == model)
        if data:
            query = query.where(RunRow.data == data)
        if status:
            query = query.where(RunRow.status.in_(status))
        query = query.order_by(RunRow.created_at.desc(), RunRow.id).limit(limit).offset(offset)
        with reading(self._engine) as session:
            return [as_run(row) for row in session.scalars(query)]

    def run(self, principal: Principal, run_id: str) -> Run:
        """Return one run by its id, or by a beginning of it of at least six characters that names only one.

        Runs of the worked example can be read by everybody.
        """
        principal = self._accounts.require(principal)
        with reading(self._engine) as session:
            return as_run(self._row(session, principal, run_id, reads=True))

    def cancel(self, principal: Principal, run_id: str) -> Run:
        """Ask a run to stop. A queued run is cancelled at once, a running one within seconds."""
        principal = self._accounts.require(principal)
        with transaction(self._engine) as session:
            row = self._row(session, principal, run_id)
            if row.status in ("queued", "interrupted"):
                row.status, row.finished_at = "cancelled", now()
            elif row.status == "running":
                row.cancel_requested = True
            return as_run(row)

    def delete(self, principal: Principal, run_id: str) -> None:
        """Delete a finished run and the files that no other run shares.

        Raises
        ------
        BusyError
            If the run is still going; cancel it first.
        """
        principal = self._accounts.require(principal)
        with transaction(self._engine) as session:
            row = self._row(session, principal, run_id)
            if row.status == "running":
                raise BusyError(N_("This run is still going. Cancel it first, then delete it."))
            orphans = [a.sha256 for a in row.artifacts if not _shared(session, a.sha256, row.id)]
            session.delete(row)
        for sha256 in orphans:
            self._storage.delete(sha256)

    def file(self, principal: Principal, run_id: str, name: str) -> Path:
        """Return the verified local copy of a run's file.

        Raises
        ------
        NotFoundError
            If the run is not one's own or has no such file.
        StorageError
            If the stored file is missing or damaged.
        """
        run = self.run(principal, run_id)
        for artifact in run.artifacts:
            if artifact.name == name:
                return self._storage.path(artifact.sha256)
        raise NotFoundError(N_("Run {run} has no file '{name}'."), run=run.id[:8], name=name)

    def _row(self, session: Session, principal: Principal, run_id: str, *, reads: bool = False) -> RunRow:
        mine = RunRow.owner_id == principal.user_id
        query = select(RunRow).where(or_(mine, RunRow.owner_id == EXAMPLE) if reads else mine)
        exact = session.scalar(query.where(RunRow.id == run_id))
        if exact is not None:
            return exact
        if len(run_id) >= 6:
            like = run_id.replace("%", "").replace("_", "")
            found = session.scalars(query.where(RunRow.id.startswith(like)).limit(2)).all()
            if len(found) == 1:
                return found[0]
            if found:
                raise InputError(N_("Several runs begin with '{run}'. Give more of the id."), run=run_id)
        raise NotFoundError(N_("There is no run '{run}'. List yours to see their ids."), run=run_id)


def enqueue(
    session: Session, owner: str, requests: Sequence[RunRequest], name: str = "",
    estimates: Sequence[dict[str, Any] | None] = (), *, archived: bool = False, tags: str = "",
) -> list[Run]:
    """Write queued runs of an owner whose rights have been checked; ``archived`` keeps them out of the list."""
    rows = []
    for number, request in enumerate(requests):
        recipe = load_recipe(request.recipe)
        row = RunRow(
            id=str(uuid.uuid4()), owner_id=owner, name=name.strip()[:120] or recipe.name,
            request=request.model_dump(mode="json"), model=request.model, data=request.data, status="queued",
            created_at=now(), estimate=estimates[number] if number < len(estimates) else None,
            archived_at=now() if archived else None, tags=tags,
        )
        session.add(row)
        rows.append(row)
    session.flush()
    return [as_run(row) for row in rows]


def _shared(session: Session, sha256: str, run_id: str) -> bool:
    if session.scalar(select(UploadRow.id).where(UploadRow.sha256 == sha256).limit(1)) is not None:
        return True
    query = select(ArtifactRow.run_id).where(ArtifactRow.sha256 == sha256, ArtifactRow.run_id != run_id)
    return session.scalar(query.limit(1)) is not None


def _forget(session: Session, user_id: str) -> None:
    session.execute(delete(RunRow).where(RunRow.owner_id == user_id))
