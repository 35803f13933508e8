"""An accounts service on each database engine, with a clock that the test turns and a cheap hash."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from benchmarks.accounts import PHRASE, Clock
from core.accounts import LOCAL, Accounts, Hasher, SignedIn
from core.settings import Settings

__all__ = ["PHRASE", "Clock"]


@pytest.fixture
def clock() -> Clock:
    """A clock at a fixed moment."""
    return Clock(datetime(2026, 11, 24, 12, 0, tzinfo=UTC))


@pytest.fixture
def cheap() -> Hasher:
    """Argon2id at its smallest parameters: the same code, a thousandth of the work."""
    return Hasher(time_cost=1, memory_kib=8, lanes=1)


@pytest.fixture
def accounts(engine: Engine, settings: Settings, clock: Clock, cheap: Hasher) -> Accounts:
    """The service on a fresh database, once per engine."""
    return Accounts(engine, settings, clock, cheap)


@pytest.fixture
def join(accounts: Accounts) -> Callable[..., SignedIn]:
    """Open an account by user name alone; ``role="admin"`` makes it an administrator."""

    def make(username: str, role: str = "user", **options: str) -> SignedIn:
        signed_in = accounts.sign_up(username, "", f"{username}@example.org", PHRASE, **options)
        if role == "admin":
            accounts.set_role(LOCAL, signed_in.principal.user_id, "admin")
        return SignedIn(accounts.require(signed_in.principal), signed_in.token)

    return make
