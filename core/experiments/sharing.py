"""Links that show one run, or one comparison, to whoever has them, until they are revoked."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from core.accounts import Accounts, Principal
from core.database import now, reading, transaction
from core.errors import BusyError, InputError, NotFoundError
from core.experiments.compare import MOST
from core.experiments.runs import Run
from core.experiments.service import as_run
from core.experiments.tables import RunRow, ShareRow
from core.locales import N_
from core.storage import Storage

MOST_LINKS = 200
_TOKEN_BYTES = 32
_TOKEN_CHARACTERS = 43


class Share(BaseModel):
    """A link that its owner gave away; the token itself is known only at its making."""

    model_config = ConfigDict(frozen=True)

    id: str
    runs: tuple[str, ...]
    created_at: datetime


class Sharing:
    """Make, list and revoke links, and answer who comes with one."""

    def __init__(self, engine: Engine, storage: Storage, accounts: Accounts) -> None:
        self._engine, self._storage, self._accounts = engine, storage, accounts
        accounts.on_delete(_forget)

    def share(self, principal: Principal, run_ids: Sequence[str]) -> str:
        """Return the token of a new link to one finished run or to a comparison of two to eight.

        Raises
        ------
        NotFoundError
            If a run is not one's own.
        InputError
            If there are none or too many, or one has not finished.
        """
        principal = self._accounts.require(principal)
        if not 1 <= len(run_ids) <= MOST or len(set(run_ids)) != len(run_ids):
            raise InputError(N_("Choose one to {most} different runs to share."), most=MOST)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with transaction(self._engine) as session:
            query = select(RunRow.id, RunRow.status).where(
                RunRow.owner_id == principal.user_id, RunRow.id.in_(list(run_ids)))
            found = {row.id: row.status for row in session.execute(query)}
            for run_id in run_ids:
                if run_id not in found:
                    raise NotFoundError(
                        N_("There is no run '{run}'. List yours to see their ids."), run=run_id[:36])
                if found[run_id] != "finished":
                    raise InputError(
                        N_("Run {run} has not finished. Share it when it has a result."), run=run_id[:8])
            own = select(func.count()).select_from(ShareRow).where(ShareRow.owner_id == principal.user_id)
            if (session.scalar(own) or 0) >= MOST_LINKS:
                raise BusyError(N_("You have {most} links. Revoke one that is no longer needed."), most=MOST_LINKS)
            session.add(ShareRow(id=str(uuid.uuid4()), token=_digest(token), owner_id=principal.user_id,
                                 runs=list(run_ids), created_at=now()))
        return token

    def links(self, principal: Principal, run_ids: Sequence[str]) -> list[Share]:
        """Return one's links to exactly these runs, newest first."""
        principal = self._accounts.require(principal)
        query = select(ShareRow).where(ShareRow.owner_id == principal.user_id).order_by(ShareRow.created_at.desc())
        with reading(self._engine) as session:
            return [Share(id=row.id, runs=tuple(row.runs), created_at=row.created_at)
                    for row in session.scalars(query) if set(row.runs) == set(run_ids)]

    def revoke(self, principal: Principal, share_id: str) -> None:
        """End a link at once. Revoking one that is gone already does nothing."""
        principal = self._accounts.require(principal)
        with transaction(self._engine) as session:
            session.execute(
                delete(ShareRow).where(ShareRow.owner_id == principal.user_id, ShareRow.id == share_id))

    def shared(self, token: str) -> list[Run]:
        """Return the runs behind a link, in the order in which they were shared; nobody need be signed in.

        Raises
        ------
        NotFoundError
            If there is no such link, it was revoked, or one of its runs was deleted.
        """
        if len(token) == _TOKEN_CHARACTERS:
            with reading(self._engine) as session:
                row = session.scalar(select(ShareRow).where(ShareRow.token == _digest(token)))
                if row is not None:
                    query = select(RunRow).where(
                        RunRow.id.in_(row.runs), RunRow.owner_id == row.owner_id, RunRow.status == "finished")
                    runs = {run.id: as_run(run) for run in session.scalars(query)}
                    if len(runs) == len(row.runs):
                        return [runs[run_id] for run_id in row.runs]
        raise NotFoundError(N_("This link leads nowhere: it was revoked, or what it showed was deleted."))

    def file(self, token: str, run_id: str, name: str) -> Path:
        """Return the verified local copy of a shared run's file.

        Raises
        ------
        NotFoundError
            As :meth:`shared`, or if the link does not show that run or there is no such file.
        StorageError
            If the stored file is missing or damaged.
        """
        for run in self.shared(token):
            for artifact in run.artifacts:
                if run.id == run_id and artifact.name == name:
                    return self._storage.path(artifact.sha256)
        raise NotFoundError(N_("Run {run} has no file '{name}'."), run=run_id[:8], name=name)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _forget(session: Session, user_id: str) -> None:
    session.execute(delete(ShareRow).where(ShareRow.owner_id == user_id))
