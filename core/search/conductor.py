"""The driver of searches: a thread that looks at them in the database, starts trials, and concludes in time.

The database is the truth here too: the driver holds nothing that it could not read again, so a search whose process
was killed goes on in the next one. One process at a time drives a search, by the lease of its row.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Engine

from core.database import now, transaction
from core.errors import SecateurError
from core.experiments.runs import Failure
from core.search.driving import Driver
from core.search.studies import held
from core.search.tables import StudyRow, unfinished
from core.settings import Settings
from core.storage import Storage

POLL_SECONDS = 0.5
IDLE_SECONDS = 60.0
LOST_AFTER = timedelta(seconds=20)
_MOST_CREDITED = 10.0
_log = logging.getLogger(__name__)


class Conductor:
    """Drives the searches of one installation from this process.

    Parameters
    ----------
    wake
        Called after trials were queued, so that workers begin at once.
    clock
        Seconds that never go back; a search's budget is counted by it.
    """

    def __init__(
        self, engine: Engine, storage: Storage, settings: Settings, wake: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._storage, self._settings, self._runs_wake = engine, storage, settings, wake
        self._clock = clock
        self._holder = uuid.uuid4().hex
        self._drivers: dict[str, Driver] = {}
        self._seen: dict[str, float] = {}
        self._wake, self._stop, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Look at the searches now; start the thread if it sleeps."""
        with self._lock:
            self._wake.set()
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                self._thread = threading.Thread(target=self._loop, name="secateur-search", daemon=True)
                self._thread.start()

    def resume(self) -> None:
        """Wake only if a search is unfinished, such as one of an app that was killed."""
        if unfinished(self._engine):
            self.wake()

    def close(self, seconds: float = 10.0) -> None:
        """Stop driving; searches stay as they are and go on when somebody drives them again."""
        self._stop.set()
        self._wake.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)
        with transaction(self._engine) as session:
            for study_id in self._drivers:
                row = session.get(StudyRow, study_id)
                if row is not None and row.holder == self._holder:
                    row.holder, row.heartbeat_at = "", None
        self._drivers.clear()

    def turn(self) -> bool:
        """Look once at every search; return whether any is going."""
        going = unfinished(self._engine)
        for study_id in set(self._drivers) - set(going):
            del self._drivers[study_id]
            self._seen.pop(study_id, None)
        for study_id in going:
            at = self._clock()
            worked = min(_MOST_CREDITED, at - self._seen[study_id]) if study_id in self._seen else 0.0
            if not held(self._engine, study_id, self._holder, worked, now() - LOST_AFTER):
                self._seen.pop(study_id, None)
                continue
            self._seen[study_id] = at
            self._drive(study_id)
        return bool(going)

    def _drive(self, study_id: str) -> None:
        try:
            driver = self._drivers.get(study_id)
            if driver is None:
                driver = self._drivers[study_id] = Driver(
                    study_id, self._engine, self._storage, self._settings, self._runs_wake)
            driver.turn()
        except SecateurError as error:
            self._failed(study_id, Failure(
                message=error.message, parameters={k: str(v) for k, v in error.parameters.items()}))

    def _failed(self, study_id: str, failure: Failure) -> None:
        with transaction(self._engine) as session:
            row = session.get(StudyRow, study_id)
            if row is not None:
                row.status, row.error, row.finished_at = "failed", failure.model_dump(mode="json"), now()

    def _loop(self) -> None:
        idle = 0.0
        while not self._stop.is_set() and idle < IDLE_SECONDS:
            try:
                busy = self.turn()
            except Exception:  # the database may come back, and a search must not end with one bad look at it
                _log.exception("searches could not be driven; trying again")
                busy = True
            idle = 0.0 if busy else idle + POLL_SECONDS
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()
