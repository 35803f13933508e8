"""Fixtures that every test may use: settings in a temporary home, and a fresh database on each engine."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from core.database import connect, migrate
from core.settings import Settings

# How long an example takes says nothing on a machine that does three things at once.
hypothesis.settings.register_profile("timeless", deadline=None)
hypothesis.settings.load_profile("timeless")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with everything in a temporary home, whatever the environment says."""
    for name in list(os.environ):
        if name.startswith("SECATEUR_") and name != "SECATEUR_TEST_DATA":
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    return Settings(home=home, database_url=f"sqlite:///{home / 'secateur.db'}",
                    storage_url=(home / "artifacts").as_uri())


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'data' / 'secateur.db'}"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of the ``postgres`` database of a real server, started for this session on a loopback port."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        pytest.skip("PostgreSQL is not installed (no initdb); apt-get install postgresql")
    binaries = found[-1].parent if found else Path(str(on_path)).resolve().parent
    prefix: list[str] = []
    folder = Path(tempfile.mkdtemp(prefix="secateur-postgres-"))
    if os.geteuid() == 0:  # initdb refuses to run as root
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL cannot run as root and there is no account 'postgres'")
        prefix = ["runuser", "-u", "postgres", "--"]
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = folder / "data"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*command: str) -> None:
        subprocess.run([*prefix, str(binaries / command[0]), *command[1:]], check=True, cwd=folder,
                       stdout=subprocess.DEVNULL, timeout=120)

    try:
        run("initdb", "-D", str(data), "-U", "secateur", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = (f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off -c max_connections=120 "
                   "-c timezone=Asia/Kathmandu")  # an odd zone shows moments that are not stored in UTC
        run("pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql+psycopg://secateur@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """Name of a migrated database on the server, which fresh ones are copied from."""
    _administer(postgres_url, "CREATE DATABASE migrated")
    engine = connect(_named(postgres_url, "migrated"))
    migrate(engine)
    engine.dispose()
    return "migrated"


@pytest.fixture
def empty_postgres_url(postgres_url: str) -> Iterator[str]:
    """URL of a new database without tables, dropped afterwards."""
    yield from _fresh(postgres_url, "template0")


@pytest.fixture
def migrated_postgres_url(postgres_url: str, postgres_template: str) -> Iterator[str]:
    """URL of a new migrated database, dropped afterwards."""
    yield from _fresh(postgres_url, postgres_template)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a fresh migrated database, once per engine."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("migrated_postgres_url"))
    url = str(request.getfixturevalue("sqlite_url"))
    engine = connect(url)
    migrate(engine)
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """URL of a fresh database without tables, once per engine."""
    name = "empty_postgres_url" if request.param == "postgresql" else "sqlite_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Engine on a fresh migrated database, once per database engine."""
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_engine(sqlite_url: str) -> Iterator[Engine]:
    """Engine on a fresh migrated SQLite file, for what does not depend on the database engine."""
    engine = connect(sqlite_url)
    migrate(engine)
    yield engine
    engine.dispose()


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def _administer(url: str, statement: str) -> None:
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(statement))
    server.dispose()


def _fresh(url: str, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    _administer(url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _named(url, name)
    _administer(url, f"DROP DATABASE {name} WITH (FORCE)")
