"""Transactions, and what their failures mean to a person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, Executable, Row, text
from sqlalchemy.exc import DBAPIError, IntegrityError, MultipleResultsFound
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from core.errors import BusyError, SecateurError, StorageError
from core.locales import N_

_SQLITE_BUSY = {5, 6}  # SQLITE_BUSY, SQLITE_LOCKED
_POSTGRES_BUSY = {
    "55P03",  # lock_not_available
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "53300",  # too_many_connections
}


@contextmanager
def transaction(engine: Engine, *, patience: float | None = None) -> Iterator[Session]:
    """Open a session that may write; it commits at the end of the block, or rolls back on any error.

    Parameters
    ----------
    engine
        From :func:`core.database.connect`.
    patience
        Seconds to wait for another transaction's lock; 15 unless said.

    Raises
    ------
    BusyError
        If the lock or a free connection did not come in time.
    StorageError
        If the database is gone, full, read-only or damaged.
    sqlalchemy.exc.IntegrityError
        If a constraint is broken. Only the room that owns the table knows what that means, so it must
        catch this itself.
    """
    options: dict[str, object] = {} if patience is None else {"patience": patience}
    yield from _session(engine, options)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Open a session for reading only: on SQLite it takes no write lock and never waits for a writer.

    Raises the same errors as :func:`transaction`. Nothing is committed.
    """
    yield from _session(engine, {"reading": True})


def looked_up(engine: Engine, query: Executable, parameters: Mapping[str, object]) -> Row[Any] | None:
    """Return the one row that a single query finds, or None: a read without the cost of a transaction.

    ``query`` should be built once, with bound parameters: SQLAlchemy then remembers how it is compiled.
    Raises the same errors as :func:`transaction`.
    """
    rows = looked_up_all(engine, query, parameters)
    if len(rows) > 1:
        raise MultipleResultsFound("a look-up of one row found several")
    return rows[0] if rows else None


def looked_up_all(engine: Engine, query: Executable, parameters: Mapping[str, object]) -> Sequence[Row[Any]]:
    """Return all rows of a single query, as :func:`looked_up` does."""
    try:
        with engine.execution_options(single=True).connect() as connection:
            return connection.execute(query, parameters).all()
    except (DBAPIError, PoolTimeoutError) as error:
        raise translated(error) from error


def _session(engine: Engine, options: dict[str, object]) -> Iterator[Session]:
    try:
        with Session(engine.execution_options(**options), expire_on_commit=False) as session:
            session.connection()  # begins now, so that what the block reads is already behind the lock
            yield session
            if options.get("reading"):
                session.expunge_all()  # a rollback would empty the objects the caller keeps
                session.rollback()
            else:
                session.commit()
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeoutError) as error:
        raise translated(error) from error


def translated(error: DBAPIError | PoolTimeoutError) -> SecateurError:
    """Return the project's own error for one of a database driver's."""
    if isinstance(error, PoolTimeoutError) or _is_busy(error.orig):
        return BusyError(N_("The database is busy. Nothing was changed; try again in a moment."))
    return StorageError(N_("The database does not answer or cannot be written. Nothing was changed; try "
                           "again later, and tell the administrator if it goes on."))


def _is_busy(cause: BaseException | None) -> bool:
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code & 0xFF in _SQLITE_BUSY
    return getattr(cause, "sqlstate", None) in _POSTGRES_BUSY


def serialise(session: Session, name: str) -> None:
    """Let only one transaction at a time pass this point under ``name``, until it ends.

    PostgreSQL takes an advisory lock. On SQLite a transaction that writes is already alone.
    """
    if session.get_bind().dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
