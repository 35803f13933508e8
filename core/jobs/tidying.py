"""Removing what killed workers left behind: scratch folders without a run, stored files without a row."""

from __future__ import annotations

import contextlib
import shutil

from sqlalchemy import Engine, select

from core.database import reading
from core.experiments.tables import ArtifactRow, UploadRow
from core.jobs.leases import unfinished
from core.settings import Settings
from core.storage import Storage


def tidy(engine: Engine, storage: Storage, settings: Settings) -> tuple[int, int]:
    """Remove leftovers, but only while no run is unfinished; return the numbers of folders and of files removed.

    A worker stores files just before it writes their rows, so while one is at work a file without a row is not
    a leftover.
    """
    if unfinished(engine):
        return 0, 0
    folders = 0
    scratch = settings.home / "runs"
    if scratch.is_dir():
        for folder in scratch.iterdir():
            shutil.rmtree(folder, ignore_errors=True)
            folders += 1
        with contextlib.suppress(OSError):  # a run has just begun
            scratch.rmdir()
    storage.clean()
    stored = set(storage.digests())
    with reading(engine) as session:
        stored -= set(session.scalars(select(ArtifactRow.sha256)))
        stored -= set(session.scalars(select(UploadRow.sha256)))
    if unfinished(engine):
        return folders, 0
    for sha256 in stored:
        storage.delete(sha256)
    return folders, len(stored)
