"""The services of the process, built on first use and shared by all sessions and routes.

They outlive script runs and serve the web routes too, so they are plain process-wide objects rather than
Streamlit's cached resources. Imports are lazy: the sign-in page needs no model.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from core.accounts import Accounts
    from core.experiments.listing import Listing
    from core.experiments.service import Experiments
    from core.experiments.serving import Serving
    from core.experiments.sharing import Sharing
    from core.experiments.uploads import Uploads
    from core.jobs import Queue
    from core.search.conductor import Conductor
    from core.search.studies import Studies
    from core.settings import Settings
    from core.storage import Storage
    from core.zoo import Library, Shelf

T = TypeVar("T")

_lock = threading.RLock()
_built: dict[str, Any] = {}
_SETTLED_SECONDS = 10.0
_COLLECT_SECONDS = 30.0


def once(build: Callable[[], T]) -> Callable[[], T]:
    """Let ``build`` run once per process, also when many sessions ask at the same time."""
    name = build.__name__

    def service() -> T:
        if name not in _built:
            with _lock:
                if name not in _built:
                    _built[name] = build()
        return _built[name]

    service.__name__, service.__doc__ = name, build.__doc__
    return service


def forget() -> None:
    """Drop every service, so that the next use reads the settings anew (for tests)."""
    from core.settings import settings as read

    with _lock:
        _built.clear()
        read.cache_clear()


def settings() -> Settings:
    """Return the installation's settings."""
    from core.settings import settings as read

    return read()


@once
def key() -> bytes:
    """Return the installation's secret key; a weak one is an error, a missing one is made once."""
    from core.accounts.key import cookie_key

    return cookie_key(settings())


@once
def engine() -> Engine:
    """Return the database, migrated."""
    from core.database import connect, migrate

    database = connect(settings().database_url)
    migrate(database)
    return database


@once
def accounts() -> Accounts:
    """Return the accounts of this installation."""
    from core.accounts import Accounts

    found = Accounts(engine(), settings())
    found.on_delete(_take_along)
    return found


def _take_along(_session: Session, user_id: str) -> Callable[[], None]:
    # Rooms register what an account takes along when they are built; this process may not have needed them yet.
    from core.experiments.serving import withdraw_all

    experiments(), sharing(), uploads(), studies()
    return lambda: withdraw_all(library(), settings(), user_id)


@once
def library() -> Library:
    """Return the model library."""
    from core.zoo import Library

    return Library(settings())


@once
def shelf() -> Shelf:
    """Return the model library as pages show it."""
    from core.zoo import Shelf

    return Shelf(library())


@once
def storage() -> Storage:
    """Return where the files of runs lie."""
    from core.storage import Storage

    return Storage(settings().storage_url)


@once
def queue() -> Queue:
    """Return the dispatcher that carries queued runs to workers."""
    from core.jobs import Queue

    found = Queue(engine(), storage(), settings())
    found.resume()
    return found


@once
def experiments() -> Experiments:
    """Return the runs of this installation."""
    from core.experiments.service import Experiments

    return Experiments(engine(), storage(), accounts(), settings(), wake=queue().wake)


@once
def uploads() -> Uploads:
    """Return the images that people uploaded."""
    from core.experiments.uploads import Uploads

    return Uploads(engine(), storage(), accounts(), settings())


@once
def listing() -> Listing:
    """Return the lists of runs."""
    from core.experiments.listing import Listing

    return Listing(engine(), accounts())


@once
def sharing() -> Sharing:
    """Return the links to runs."""
    from core.experiments.sharing import Sharing

    return Sharing(engine(), storage(), accounts())


@once
def serving() -> Serving:
    """Return what puts models of runs into the library."""
    from core.experiments.serving import Serving

    return Serving(library(), accounts(), settings())


@once
def conductor() -> Conductor:
    """Return the driver of searches."""
    from core.search.conductor import Conductor

    return Conductor(engine(), storage(), settings(), queue().wake)


@once
def studies() -> Studies:
    """Return the searches of this installation."""
    from core.search.studies import Studies

    return Studies(engine(), accounts(), settings(), wake=conductor().wake)


def go_on_searching() -> None:
    """Drive the searches that a stopped app left unfinished; without any, load nothing."""
    from core.search.tables import unfinished

    if unfinished(engine()):
        conductor().resume()


@once
def collector() -> threading.Thread:
    """Start the thread that collects garbage now and then.

    ``runner.postScriptGC`` is off, because a full collection after every run of every session is what
    limits how many people fit. What lives after the first moments is code and catalogues that stay: it is
    collected once and then left out, so that later collections, which halt everybody, are short.
    """
    stop = threading.Event()

    def collect() -> None:
        stop.wait(_SETTLED_SECONDS)
        gc.collect()
        gc.freeze()
        while not stop.wait(_COLLECT_SECONDS):
            gc.collect()

    thread = threading.Thread(target=collect, name="collector", daemon=True)
    thread.start()
    return thread
