"""Opening a database: SQLite set up to lose nothing, or PostgreSQL by URL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pysqlite3
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from core.errors import InputError, StorageError
from core.locales import N_

PATIENCE = 15.0
"""Seconds that a transaction waits for another one's lock."""


def connect(url: str) -> Engine:
    """Open the database at ``url``; the first statement, not this call, finds out whether it answers.

    SQLite runs through ``pysqlite3`` because the library of many Python builds has the WAL-reset bug
    (sqlite.org/wal.html, fixed in 3.51.3). It gets the write-ahead log, ``synchronous=FULL`` (an
    acknowledged write survives a power cut), foreign keys, and ``BEGIN IMMEDIATE`` for transactions that
    write, so that none fails half-way by upgrading its lock. A missing parent folder is made with mode 0700
    and a missing file with mode 0600.

    Raises
    ------
    InputError
        If the URL cannot be read, or names neither SQLite nor PostgreSQL.
    StorageError
        If the folder of an SQLite file cannot be made.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise _unusable() from error
    if backend == "sqlite":
        return _sqlite(parsed)
    if backend in ("postgresql", "postgres"):
        return _postgresql(parsed)
    raise _unusable()


def _unusable() -> InputError:
    # The URL itself stays out of the message: it may hold a password.
    return InputError(N_("The database address cannot be used. Give one that begins with sqlite:/// or "
                         "postgresql://."))


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise _unusable()
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StorageError(
            N_("The data folder {folder} cannot be written: {reason}. Check its owner and free space."),
            folder=str(path.parent), reason=error.strerror or type(error).__name__,
        ) from error
    engine = create_engine(url, module=pysqlite3, pool_size=10, max_overflow=30, pool_timeout=PATIENCE)

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, below
        connection.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        patience = float(options.get("patience", PATIENCE))
        if connection.info.get("patience", PATIENCE) != patience:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(patience * 1000)}")
            connection.info["patience"] = patience
        if options.get("single"):
            return  # one SELECT is its own snapshot
        connection.exec_driver_sql("BEGIN" if options.get("reading") else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True, pool_size=5, max_overflow=10, pool_timeout=PATIENCE, pool_recycle=1800,
        connect_args={"connect_timeout": 10},
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("single"):
            return  # a SELECT waits for no lock
        patience = float(connection.get_execution_options().get("patience", PATIENCE))
        # Zero would mean "for ever" to PostgreSQL.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1, int(patience * 1000))}")

    return engine
