"""The dispatcher: a thread that looks at the queue in the database and keeps a Dask cluster busy with it."""

from __future__ import annotations

import ipaddress
import logging
import threading
import uuid
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine

from core.errors import InputError, SecateurError
from core.jobs import leases
from core.jobs.tidying import tidy
from core.locales import N_
from core.settings import Settings
from core.storage import Storage

POLL_SECONDS = 1.0
IDLE_SECONDS = 120.0
_log = logging.getLogger(__name__)


def checked_address(address: str) -> str:
    """Return a scheduler's address if it may be used.

    Whoever reaches a scheduler that is not protected by TLS can run code on it, so plain ``tcp://`` is only
    accepted on the loopback interface.

    Raises
    ------
    InputError
        If the address is malformed or would send work unprotected over a network.
    """
    parts = urlsplit(address)
    try:
        loopback = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
        port = parts.port
    except ValueError:
        loopback, port = False, urlsplit(address.rsplit(":", 1)[0] + ":0").port
    if parts.scheme == "tls" and parts.hostname and port is not None:
        return address
    if parts.scheme == "tcp" and loopback and port is not None:
        return address
    raise InputError(
        N_("SECATEUR_SCHEDULER is '{address}'. Use tls://host:port, or tcp://127.0.0.1:port on this machine."),
        address=address,
    )


class Queue:
    """Carries queued runs to workers, as long as there are any.

    By default the workers are processes of a local cluster: started when the first run is waiting, bound to the
    loopback interface, without a dashboard, stopped after two idle minutes. With ``settings.scheduler`` they are
    those of an existing cluster, whose machines share the database and the storage.
    """

    def __init__(self, engine: Engine, storage: Storage, settings: Settings) -> None:
        self._engine = engine
        self._storage = storage
        self._tidied = False
        self._settings = settings
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._client: Any = None
        self._cluster: Any = None
        self._futures: dict[str, Any] = {}
        if settings.scheduler:
            checked_address(settings.scheduler)

    def wake(self) -> None:
        """Look at the queue now; start the dispatcher if it sleeps."""
        with self._lock:
            self._wake.set()
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                self._thread = threading.Thread(target=self._loop, name="secateur-queue", daemon=True)
                self._thread.start()

    def resume(self) -> None:
        """Wake only if there are unfinished runs or their scratch folders, such as those of a killed app."""
        if leases.unfinished(self._engine) or (self._settings.home / "runs").exists():
            self.wake()

    def close(self, seconds: float = 10.0) -> None:
        """Stop the dispatcher and its local cluster; runs that were going are put back into the queue."""
        self._stop.set()
        self._wake.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _loop(self) -> None:
        idle = 0.0
        try:
            while not self._stop.is_set() and idle < IDLE_SECONDS:
                try:
                    busy = self._turn()
                except SecateurError:
                    _log.exception("the queue could not be read; trying again")
                    busy = True
                except Exception:  # whatever a cluster raises while it starts or goes, runs are still waiting
                    _log.exception("the cluster cannot be reached; trying again")
                    self._disconnect()
                    busy = True
                idle = 0.0 if busy else idle + POLL_SECONDS
                self._wake.wait(POLL_SECONDS)
                self._wake.clear()
        finally:
            held = list(self._futures)
            self._disconnect()
            if held and not self._settings.scheduler:
                leases.recover(self._engine, held)
            with self._lock:
                self._thread = None

    def _turn(self) -> bool:
        for run_id, future in list(self._futures.items()):
            if future.done():
                del self._futures[run_id]
                if future.status in ("error", "lost", "cancelled"):
                    leases.recover(self._engine, [run_id])
        leases.recover(self._engine)
        if not leases.unfinished(self._engine):
            if not self._tidied:
                tidy(self._engine, self._storage, self._settings)
                self._tidied = True
            return bool(self._futures)
        self._tidied = False
        if self._client is None:
            self._connect()
        # While it closes or reconnects, a client knows of no scheduler and answers without workers.
        workers = self._client.scheduler_info(n_workers=-1).get("workers", {})
        capacity = max(1, len(workers)) - len(self._futures)
        for run_id in leases.next_runs(self._engine, capacity, self._settings.quotas.running_runs):
            if run_id not in self._futures:
                self._futures[run_id] = self._client.submit(
                    _execute, run_id, pure=False, retries=0, key=f"run-{run_id}-{uuid.uuid4()}"
                )
        return True

    def _connect(self) -> None:
        import dask
        from distributed import Client, LocalCluster, Security

        if self._settings.scheduler:
            self._client = Client(
                checked_address(self._settings.scheduler),
                security=Security() if self._settings.scheduler.startswith("tls://") else None,
                set_as_default=False, timeout=10,
            )
            return
        # Even without a dashboard a scheduler answers over HTTP, and would take workers away if asked to.
        silent: dict[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
        # The run itself lives in a child of the worker with a limit of its own, so the worker stays small.
        with dask.config.set(silent):
            self._cluster = LocalCluster(
                n_workers=self._settings.jobs.workers, threads_per_worker=1, processes=True, host="127.0.0.1",
                dashboard_address=None, scheduler_kwargs={"dashboard_address": "127.0.0.1:0"}, memory_limit=0,
                silence_logs=logging.ERROR,
            )
        self._client = Client(self._cluster, set_as_default=False)

    def _disconnect(self) -> None:
        client, cluster = self._client, self._cluster
        self._client, self._cluster, self._futures = None, None, {}
        for resource in (client, cluster):
            if resource is not None:
                try:
                    resource.close(timeout=10)
                except (OSError, TimeoutError, RuntimeError):
                    _log.warning("the cluster did not close in time", exc_info=True)


def _execute(run_id: str) -> None:
    from core.jobs.worker import execute

    execute(run_id)
