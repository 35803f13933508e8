"""Bringing a database to this version's tables, by whoever starts first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.database.transactions import translated
from core.errors import StorageError
from core.locales import N_

FOLDER = Path(__file__).resolve().parents[2] / "migrations"
_LOCK = 0x5EC47E04  # any number that no other program on the server is likely to lock
_one_at_a_time = threading.Lock()  # Alembic keeps its context in module globals


def migrate(engine: Engine, to: str = "head") -> None:
    """Upgrade to ``to``; safe when several processes start at once.

    The whole upgrade is one transaction: an SQLite write lock or a PostgreSQL advisory lock is held from
    before the version is read until after it is written, so a second process waits and finds nothing to do,
    and a killed one leaves the database as it was.

    Raises
    ------
    StorageError
        If the database does not answer, or comes from a newer version of the program.
    BusyError
        If another process holds the database for too long.
    """
    with _locked(engine) as config:
        command.upgrade(config, to)


def downgrade(engine: Engine, to: str) -> None:
    """Go back to revision ``to`` (``"base"`` for an empty database); data of dropped tables is lost."""
    with _locked(engine) as config:
        command.downgrade(config, to)


@contextmanager
def _locked(engine: Engine) -> Iterator[Config]:
    try:
        with _one_at_a_time, engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            if engine.dialect.name == "sqlite":
                # Rebuilding a table (batch mode) would otherwise cascade into the rows that point to it, and
                # this cannot be switched inside a transaction.
                driver.execute("PRAGMA foreign_keys = OFF")
            try:
                with connection.begin():
                    yield _config(connection)
                    _check(connection)
            finally:
                if engine.dialect.name == "sqlite" and not connection.invalidated:
                    driver.execute("PRAGMA foreign_keys = ON")
    except CommandError as error:
        raise StorageError(N_("The database was made by another version of this program ({reason}). "
                              "Install the newer version, or start with an empty database."),
                           reason=str(error)) from error
    except (DBAPIError, PoolTimeoutError) as error:
        raise translated(error) from error


def _config(connection: Connection) -> Config:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _check(connection: Connection) -> None:
    if connection.dialect.name == "sqlite" and connection.execute(text("PRAGMA foreign_key_check")).first():
        raise StorageError(N_("The upgrade of the database would have left broken references. Nothing was "
                              "changed; tell the administrator."))
