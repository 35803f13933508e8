"""Migrations up and down, on both engines, and when several start at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

import core.accounts.tables
from core.database import Base, connect, downgrade, migrate
from core.errors import StorageError

ACCOUNTS = {"users", "sessions", "tickets", "attempts", "known_addresses", "invitations", "resets"}


def _tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_up_down_and_up_again(empty_database_url: str) -> None:
    engine = connect(empty_database_url)
    migrate(engine)
    complete = _tables(engine)
    assert complete >= ACCOUNTS
    migrate(engine)
    assert _tables(engine) == complete
    downgrade(engine, "base")
    assert _tables(engine) == {"alembic_version"}
    migrate(engine)
    assert _tables(engine) == complete
    engine.dispose()


def test_every_step_back_and_forth(empty_database_url: str) -> None:
    engine = connect(empty_database_url)
    migrate(engine, "0001")
    first = _tables(engine)
    assert first == ACCOUNTS | {"alembic_version"}
    migrate(engine)
    downgrade(engine, "0001")
    assert _tables(engine) == first
    engine.dispose()


def test_migrated_tables_are_the_mapped_ones(engine: Engine) -> None:
    assert core.accounts.tables.User.metadata is Base.metadata
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={
            "include_object": lambda item, name, kind, _reflected, _other:
                kind != "table" or name in ACCOUNTS,
        })
        assert compare_metadata(context, Base.metadata) == []


def test_rows_survive_a_step_up(empty_database_url: str) -> None:
    engine = connect(empty_database_url)
    migrate(engine, "0001")
    with engine.begin() as connection:
        connection.execute(text(
            "insert into users (id, username, name, email, password, role, language, created_at) "
            "values ('u', 'ada', 'Ada', 'ada@example.org', 'x', 'user', 'en', '2026-01-01 00:00:00')"))
        connection.execute(text(
            "insert into resets (token, user_id, expires_at) values ('t', 'u', '2026-01-01 00:00:00')"))
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from resets")).scalar() == 1
    engine.dispose()


def test_threads_migrate_together(empty_database_url: str) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        engine = connect(empty_database_url)
        try:
            migrate(engine)
        except BaseException as error:
            failures.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_processes_migrate_together(empty_database_url: str) -> None:
    code = "import sys; from core.database import connect, migrate; migrate(connect(sys.argv[1]))"
    root = Path(__file__).resolve().parents[3]
    children = [
        subprocess.Popen([sys.executable, "-c", code, empty_database_url], cwd=root, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    errors = [child.communicate(timeout=60)[1].decode() for child in children]
    assert [child.returncode for child in children] == [0, 0], errors
    engine = connect(empty_database_url)
    assert _tables(engine) >= ACCOUNTS
    engine.dispose()


def test_foreign_keys_hold_after_migrating(sqlite_engine: Engine) -> None:
    with sqlite_engine.connect() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_database_of_a_newer_version_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(StorageError, match="another version"):
        migrate(engine)


def test_failed_migration_leaves_nothing(sqlite_url: str) -> None:
    engine = connect(sqlite_url)
    with engine.begin() as connection:
        connection.execute(text("create table resets (x integer)"))  # in the way of the last table of 0001
    with pytest.raises(StorageError):
        migrate(engine)
    assert _tables(engine) == {"resets"}
