"""Zips of images that people upload: checked whole before they are kept, then addressed as ``upload:<id>``."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, func, or_, select
from sqlalchemy.orm import Session

from core.accounts import Accounts, Principal
from core.database import now, reading, transaction
from core.datasets import Dataset, unreadable
from core.datasets.archives import ZipSource
from core.datasets.photofiles import PhotoFiles
from core.errors import BusyError, InputError, NotFoundError
from core.experiments.tables import ArtifactRow, RunRow, UploadRow
from core.images import display_name
from core.locales import N_
from core.settings import Settings
from core.storage import Storage

PREFIX = "upload:"
FEWEST = 2


@dataclass(frozen=True)
class Upload:
    """A stored set of images; ``classes`` is 0 for plain photos."""

    id: str
    name: str
    bytes: int
    sha256: str
    images: int
    classes: int
    created_at: datetime

    @property
    def spec(self) -> str:
        """How the set is named where data is asked for."""
        return PREFIX + self.id


class Uploads:
    """The uploaded images of one installation. Someone else's set looks exactly like one that does not exist."""

    def __init__(self, engine: Engine, storage: Storage, accounts: Accounts, settings: Settings) -> None:
        self._engine = engine
        self._storage = storage
        self._accounts = accounts
        self._settings = settings
        accounts.on_delete(self._forget)

    def add(self, principal: Principal, name: str, content: Path | bytes, scratch: Path | None = None) -> Upload:
        """Check a zip and keep it; the same content under the same owner is kept once.

        Every image is decoded once, so that a run never fails in its middle on a bad one.

        Parameters
        ----------
        name
            The file's name, as the person's browser tells it.
        content
            The zip's bytes or where they lie.
        scratch
            Folder for a temporary copy of bytes; ``settings.home`` by default.

        Raises
        ------
        InputError
            If it is too large, no zip of photos, or holds a photo that cannot be read; the message names it.
        BusyError
            If the account would hold more than its quota.
        StorageError
            If the store refuses.
        """
        principal = self._accounts.require(principal)
        shown = display_name(name)
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        most = self._settings.limits.dataset_mb
        if size > most * 1e6:
            raise InputError(
                N_("'{file}' has {size} MB and at most {most} MB are accepted. Use fewer or smaller photos."),
                file=shown, size=round(size / 1e6), most=round(most),
            )
        self._room(principal, size)
        if isinstance(content, Path):
            images, classes = self._checked(content, shown)
        else:
            folder = scratch or self._settings.home
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f".upload-{uuid.uuid4().hex}.zip"
            try:
                temporary.write_bytes(content)
                images, classes = self._checked(temporary, shown)
            finally:
                temporary.unlink(missing_ok=True)
        with transaction(self._engine) as session:
            stored = self._storage.put(content, shown)
            row = session.scalar(
                select(UploadRow).where(UploadRow.owner_id == principal.user_id, UploadRow.sha256 == stored.sha256)
            )
            if row is None:
                row = UploadRow(
                    id=str(uuid.uuid4()), owner_id=principal.user_id, name=shown, bytes=stored.bytes,
                    sha256=stored.sha256, images=images, classes=classes, created_at=now(),
                )
                session.add(row)
                session.flush()
            upload = _as_upload(row)
        if not self._storage.exists(upload.sha256):  # tidied away before its row could be seen
            self._storage.put(content, shown)
        return upload

    def uploads(self, principal: Principal) -> list[Upload]:
        """Return one's sets, newest first."""
        principal = self._accounts.require(principal)
        query = select(UploadRow).where(UploadRow.owner_id == principal.user_id)
        with reading(self._engine) as session:
            return [_as_upload(row) for row in session.scalars(query.order_by(UploadRow.created_at.desc()))]

    def upload(self, principal: Principal, spec: str) -> Upload:
        """Return one's set by ``upload:<id>``.

        Raises
        ------
        NotFoundError
            If there is none, or it is someone else's.
        """
        principal = self._accounts.require(principal)
        with reading(self._engine) as session:
            return _as_upload(_row(session, spec, principal.user_id))

    def delete(self, principal: Principal, spec: str) -> None:
        """Delete a set and its file, unless something else shares the file.

        Raises
        ------
        BusyError
            If a run that is not finished needs it.
        """
        principal = self._accounts.require(principal)
        with transaction(self._engine) as session:
            row = _row(session, spec, principal.user_id)
            waiting = select(RunRow.id).where(
                RunRow.owner_id == principal.user_id,
                or_(RunRow.data == spec, RunRow.request["calibration"].as_string() == spec),
                RunRow.status.in_(("queued", "running", "interrupted")),
            )
            if session.scalar(waiting.limit(1)) is not None:
                raise BusyError(N_("A run that is not finished needs these images. Wait for it or cancel it."))
            sha256 = row.sha256
            session.delete(row)
            session.flush()
            shared = _needed(session, sha256)
        if not shared:
            self._storage.delete(sha256)

    def _checked(self, path: Path, shown: str) -> tuple[int, int]:
        source = ZipSource(path, self._settings.limits)
        source.name = shown
        try:
            data = PhotoFiles(source, self._settings.limits, shown)
            bad = unreadable(data)
            if bad:
                first = next(iter(bad.values()))
                raise InputError(first.message, **first.parameters)
            if len(data) < FEWEST:
                raise InputError(
                    N_("'{file}' holds only {count} photo. Add more: half of them are kept for testing."),
                    file=shown, count=len(data),
                )
            return len(data), len(data.classes or ())
        finally:
            source.close()

    def _room(self, principal: Principal, size: int) -> None:
        with reading(self._engine) as session:
            held = stored_bytes(session, principal.user_id)
        most = self._settings.quotas.stored_mb
        if held + size > most * 1e6:
            raise BusyError(
                N_("Your runs and images hold {stored} MB and may hold {most}. Delete what you no longer need."),
                stored=round(held / 1e6), most=round(most),
            )

    def _forget(self, session: Session, user_id: str) -> Callable[[], None]:
        digests = []
        for row in session.scalars(select(UploadRow).where(UploadRow.owner_id == user_id)):
            digests.append(row.sha256)
            session.delete(row)
        session.flush()
        orphans = [digest for digest in digests if not _needed(session, digest)]

        def remove() -> None:
            for digest in orphans:
                self._storage.delete(digest)

        return remove


def open_upload(spec: str, engine: Engine, storage: Storage, settings: Settings) -> Dataset:
    """Open the images of ``upload:<id>``, whoever owns them: for a worker, whose run was checked when submitted.

    Raises
    ------
    NotFoundError
        If the set was deleted.
    StorageError
        If its file is missing or damaged.
    """
    with reading(engine) as session:
        upload = _as_upload(_row(session, spec, None))
    return PhotoFiles(ZipSource(storage.path(upload.sha256), settings.limits), settings.limits, upload.name)


def stored_bytes(session: Session, user_id: str) -> int:
    """Return the bytes that an account holds: the files of its runs and its uploaded images."""
    runs = select(func.coalesce(func.sum(ArtifactRow.bytes), 0)).join(RunRow, RunRow.id == ArtifactRow.run_id)
    sets = select(func.coalesce(func.sum(UploadRow.bytes), 0))
    return int(session.scalar(runs.where(RunRow.owner_id == user_id)) or 0) + int(
        session.scalar(sets.where(UploadRow.owner_id == user_id)) or 0
    )


def _row(session: Session, spec: str, owner: str | None) -> UploadRow:
    query = select(UploadRow).where(UploadRow.id == spec.removeprefix(PREFIX))
    row = session.scalar(query if owner is None else query.where(UploadRow.owner_id == owner))
    if row is None:
        raise NotFoundError(N_("These images are not there any more. Choose others or upload them again."))
    return row


def _needed(session: Session, sha256: str) -> bool:
    rows = select(UploadRow.id).where(UploadRow.sha256 == sha256).limit(1)
    files = select(ArtifactRow.run_id).where(ArtifactRow.sha256 == sha256).limit(1)
    return session.scalar(rows) is not None or session.scalar(files) is not None


def _as_upload(row: UploadRow) -> Upload:
    return Upload(row.id, row.name, row.bytes, row.sha256, row.images, row.classes, row.created_at)
