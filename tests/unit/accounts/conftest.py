"""An accounts service on each database engine, with a clock that the test turns and a cheap hash."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from core.accounts import LOCAL, Accounts, Hasher, SignedIn
from core.settings import Settings

PHRASE = "violet kettle orbit mango"


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def move(self, **delta: float) -> None:
        """Move by a ``timedelta``'s keywords, forwards or back."""
        self.moment += timedelta(**delta)


@pytest.fixture
def clock() -> Clock:
    """A clock at a fixed moment."""
    return Clock()


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
