"""What is acknowledged survives a restart and ``kill -9``."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from core.accounts import Accounts, Hasher, SignedIn
from core.database import connect, migrate
from core.settings import Settings

from .conftest import PHRASE, Clock

ROOT = Path(__file__).resolve().parents[3]
SIGN_UPS = """
import sys
from pathlib import Path
from core.accounts import Accounts, Hasher
from core.database import connect, migrate
from core.settings import Settings
url, home, prefix = sys.argv[1:]
engine = connect(url)
migrate(engine)
accounts = Accounts(engine, Settings(home=Path(home)), hasher=Hasher(1, 8, 1))
print("ready", flush=True)
for i in range(100000):
    got = accounts.sign_up(f"{prefix}{i}", "", f"{prefix}{i}@example.org", "violet kettle orbit mango")
    print(got.principal.username, got.token, flush=True)
"""


def test_restart_keeps_people_signed_in(
    accounts: Accounts, join: Callable[..., SignedIn], database_url: str, settings: Settings, clock: Clock,
    cheap: Hasher,
) -> None:
    ada = join("ada")
    engine = connect(database_url)
    migrate(engine)
    again = Accounts(engine, settings, clock, cheap)
    assert again.principal_of(ada.token) == ada.principal
    assert again.sign_in("ada", PHRASE)
    engine.dispose()


def test_kill_during_sign_up_loses_nothing_acknowledged(
    database_url: str, settings: Settings, cheap: Hasher
) -> None:
    rng = random.Random(7)
    acknowledged: list[tuple[str, str]] = []
    for round_ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", SIGN_UPS, database_url, str(settings.home), f"r{round_}x"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.05, 0.5))
        os.kill(child.pid, signal.SIGKILL)
        output, _ = child.communicate(timeout=30)
        for line in output.splitlines(keepends=True):
            if line.endswith("\n"):
                username, token = line.split()
                acknowledged.append((username, token))
    assert acknowledged
    engine = connect(database_url)
    accounts = Accounts(engine, settings, hasher=cheap)
    for username, token in acknowledged:
        person = accounts.principal_of(token)
        assert person is not None
        assert person.username == username
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
            assert connection.execute(text("PRAGMA foreign_key_check")).first() is None
        orphans = connection.execute(text(
            "select count(*) from users where id not in (select user_id from sessions)")).scalar()
    assert orphans == 0
    assert accounts.sign_in(acknowledged[0][0], PHRASE)
    engine.dispose()


@pytest.mark.slow
def test_two_hundred_kills(sqlite_url: str, settings: Settings, cheap: Hasher) -> None:
    rng = random.Random(11)
    acknowledged: list[str] = []
    for round_ in range(200):
        child = subprocess.Popen(
            [sys.executable, "-c", SIGN_UPS, sqlite_url, str(settings.home), f"r{round_}x"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.5))
        os.kill(child.pid, signal.SIGKILL)
        output, _ = child.communicate(timeout=30)
        acknowledged += [line.split()[1] for line in output.splitlines(keepends=True) if line.endswith("\n")]
    engine = connect(sqlite_url)
    accounts = Accounts(engine, settings, hasher=cheap)
    assert acknowledged
    assert all(accounts.principal_of(token) for token in acknowledged)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    engine.dispose()
