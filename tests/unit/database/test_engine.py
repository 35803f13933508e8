"""Opening databases, transactions, and what their failures become."""

from __future__ import annotations

import stat
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pysqlite3
import pytest
from sqlalchemy import Engine, String, create_engine, make_url, select, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.database import UTCDateTime, connect, migrate, now, reading, serialise, transaction
from core.errors import BusyError, InputError, StorageError


class Base(DeclarativeBase):
    """A base of the test's own, so that its table is not the project's."""


class Note(Base):
    """A row with a moment."""

    __tablename__ = "notes"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    at: Mapped[datetime | None] = mapped_column(UTCDateTime)


@pytest.fixture
def notes(engine: Engine) -> Engine:
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
    return engine


def test_sqlite_is_set_up_to_lose_nothing(sqlite_url: str) -> None:
    engine = connect(sqlite_url)
    with engine.connect() as connection:
        def pragma(name: str) -> object:
            return connection.execute(text(f"PRAGMA {name}")).scalar()

        assert pragma("journal_mode") == "wal"
        assert pragma("synchronous") == 2
        assert pragma("foreign_keys") == 1
        assert pragma("busy_timeout") == 15000
        version = tuple(int(n) for n in str(connection.execute(text("select sqlite_version()")).scalar())
                        .split("."))
    assert version >= (3, 51, 3)


def test_sqlite_folder_and_file_are_private(sqlite_url: str) -> None:
    connect(sqlite_url)
    path = Path(str(make_url(sqlite_url).database))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "bogus://a"])
def test_unusable_url_is_one_clear_error(url: str) -> None:
    with pytest.raises(InputError, match="database address"):
        connect(url)


def test_url_with_a_password_is_not_repeated() -> None:
    with pytest.raises(InputError) as caught:
        connect("mysql://me:hunter2@host/db")
    assert "hunter2" not in str(caught.value)


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="data folder"):
        connect(f"sqlite:///{tmp_path / 'file' / 'sub' / 'a.db'}")


def test_commit_and_rollback(notes: Engine) -> None:
    with transaction(notes) as session:
        session.add(Note(id="kept"))

    def fail_after_writing() -> None:
        with transaction(notes) as session:
            session.add(Note(id="lost"))
            session.flush()
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail_after_writing()
    with reading(notes) as session:
        assert session.scalars(select(Note.id)).all() == ["kept"]


def test_reading_changes_nothing_and_keeps_its_objects(notes: Engine) -> None:
    with transaction(notes) as session:
        session.add(Note(id="a", at=now()))
    with reading(notes) as session:
        note = session.scalars(select(Note)).one()
        session.execute(text("delete from notes"))
    assert note.at is not None
    with reading(notes) as session:
        assert session.scalar(select(Note.id)) == "a"


def test_broken_constraint_reaches_the_room(notes: Engine) -> None:
    with pytest.raises(IntegrityError), transaction(notes) as session:
        session.execute(Note.__table__.insert(), [{"id": "a"}, {"id": "a"}])


def test_moments_come_back_in_utc(notes: Engine) -> None:
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    with transaction(notes) as session:
        session.add(Note(id="a", at=moment))
        session.add(Note(id="b", at=datetime(2039, 1, 1, tzinfo=UTC)))
    with reading(notes) as session:
        got = session.scalars(select(Note.at).order_by(Note.id)).all()
        earlier = session.scalars(select(Note.id).where(Note.at < moment + timedelta(seconds=1))).all()
    assert got == [moment, datetime(2039, 1, 1, tzinfo=UTC)]
    assert [m.tzinfo for m in got if m] == [UTC, UTC]
    assert earlier == ["a"]


def test_moment_without_zone_is_refused(notes: Engine) -> None:
    with pytest.raises(StatementError, match="time zone"), transaction(notes) as session:
        session.add(Note(id="a", at=datetime(2026, 1, 1)))


def test_locked_sqlite_is_busy_for_writers_only(sqlite_engine: Engine, sqlite_url: str) -> None:
    other = pysqlite3.connect(make_url(sqlite_url).database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(BusyError), transaction(sqlite_engine, patience=0.05):
            pass
        with reading(sqlite_engine) as session:
            assert session.execute(text("select 1")).scalar() == 1
    finally:
        other.close()
    with transaction(sqlite_engine, patience=0.05):
        pass


@pytest.mark.postgres
def test_locked_postgresql_row_is_busy(migrated_postgres_url: str) -> None:
    engine = connect(migrated_postgres_url)
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        connection.execute(Note.__table__.insert(), [{"id": "a"}])
    with transaction(engine) as first:
        first.execute(select(Note).with_for_update())
        with pytest.raises(BusyError), transaction(engine, patience=0.05) as second:
            second.execute(select(Note).with_for_update())
    engine.dispose()


@pytest.mark.postgres
def test_postgresql_reconnects_after_its_connections_are_cut(migrated_postgres_url: str) -> None:
    engine = connect(migrated_postgres_url)
    with reading(engine) as session:
        session.execute(text("select 1"))
    cutter = create_engine(migrated_postgres_url)
    with cutter.begin() as connection:
        connection.execute(text("select pg_terminate_backend(pid) from pg_stat_activity "
                                "where datname = current_database() and pid <> pg_backend_pid()"))
    cutter.dispose()
    with reading(engine) as session:
        assert session.execute(text("select 1")).scalar() == 1
    engine.dispose()


def test_unreachable_postgresql_is_a_storage_error() -> None:
    engine = connect("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StorageError), reading(engine) as session:
        session.execute(text("select 1"))
    with pytest.raises(StorageError):
        migrate(engine)


def test_full_and_damaged_files_are_storage_errors(sqlite_engine: Engine, sqlite_url: str) -> None:
    def grow() -> None:
        with transaction(sqlite_engine) as session:
            session.execute(text("PRAGMA max_page_count = 1"))  # refuses to grow, as a full disk does
            session.execute(text("create table big as select randomblob(1000000) as data"))

    with pytest.raises(StorageError):
        grow()
    sqlite_engine.dispose()
    path = Path(str(make_url(sqlite_url).database))
    path.write_bytes(b"this is not a database" * 100)
    broken = connect(sqlite_url)
    with pytest.raises(StorageError), reading(broken) as session:
        session.execute(text("select * from users"))


def test_serialise_lets_one_at_a_time_pass(notes: Engine) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        with transaction(notes) as session:
            serialise(session, "door")
            with guard:
                inside += 1
                most = max(most, inside)
            session.execute(text("select count(*) from notes"))
            threading.Event().wait(0.01)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
