"""Sessions: alive on each call or dead at once, everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event, make_url

from core.accounts import LOCAL, Accounts, SignedIn
from core.errors import AccessError, BusyError, NotFoundError

from .conftest import PHRASE, Clock

Join = Callable[..., SignedIn]


def _dead(accounts: Accounts, signed_in: SignedIn) -> bool:
    with pytest.raises(AccessError, match="Sign in again"):
        accounts.require(signed_in.principal)
    return accounts.principal_of(signed_in.token) is None


def test_sign_out_kills_the_copied_cookie(accounts: Accounts, join: Join) -> None:
    here, there = join("ada"), accounts.sign_in("ada", PHRASE)
    accounts.sign_out(here.principal)
    accounts.sign_out(here.principal)
    assert _dead(accounts, here)
    assert accounts.principal_of(there.token) == there.principal


def test_password_change_kills_every_other_session(accounts: Accounts, join: Join) -> None:
    here, there = join("ada"), accounts.sign_in("ada", PHRASE)
    fresh = accounts.change_password(here.principal, PHRASE, "copper lantern quiet walrus",
                                     address="2001:db8::1", user_agent="Laptop/2")
    assert [(s.address, s.user_agent) for s in accounts.sessions(fresh.principal)] == [
        ("2001:db8::/64", "Laptop/2")]
    assert _dead(accounts, here)
    assert _dead(accounts, there)
    assert accounts.principal_of(fresh.token) == fresh.principal
    assert accounts.sign_in("ada", "copper lantern quiet walrus")


def test_disabling_kills_sessions_and_enabling_does_not_revive_them(accounts: Accounts, join: Join) -> None:
    ada = join("ada")
    ticket = accounts.issue_ticket(ada.principal)
    accounts.disable(LOCAL, ada.principal.user_id)
    assert _dead(accounts, ada)
    assert accounts.redeem_ticket(ticket) is None
    accounts.enable(LOCAL, ada.principal.user_id)
    assert _dead(accounts, ada)
    assert accounts.sign_in("ada", PHRASE)


def test_sessions_expire_by_the_settings(accounts: Accounts, join: Join, clock: Clock) -> None:
    ada = join("ada")
    clock.move(days=29, hours=23)
    assert accounts.principal_of(ada.token)
    clock.move(hours=1)
    assert _dead(accounts, ada)


def test_clock_jumps(accounts: Accounts, join: Join, clock: Clock) -> None:
    ada = join("ada")
    clock.move(days=1)
    assert accounts.require(ada.principal)
    clock.move(days=-2)
    assert accounts.require(ada.principal)
    assert len(accounts.sessions(ada.principal)) == 1
    clock.move(days=365 * 13)  # beyond January 2038
    assert _dead(accounts, ada)
    later = accounts.sign_in("ada", PHRASE)
    assert accounts.require(later.principal)


def test_forged_principals_are_nobody(accounts: Accounts, join: Join) -> None:
    ada, eve = join("ada"), join("eve")
    for forged in (
        replace(eve.principal, user_id=ada.principal.user_id),
        replace(ada.principal, session_id=None),
        replace(ada.principal, session_id=""),
        replace(LOCAL, username="root"),
        replace(LOCAL, session_id=eve.principal.session_id),
    ):
        with pytest.raises(AccessError):
            accounts.require(forged)
    boasting = replace(eve.principal, role="admin")
    assert accounts.require(boasting).role == "user"
    with pytest.raises(AccessError):
        accounts.require(boasting, "admin")


@pytest.mark.parametrize("token", [None, "", "x", "x" * 100_000, "\ud800", "' or 1=1 --", "é\x00"])
def test_nonsense_tokens_are_nobody(accounts: Accounts, join: Join, token: str | None) -> None:
    join("ada")
    assert accounts.principal_of(token) is None
    assert accounts.redeem_ticket(token or "") is None


def test_role_is_the_live_one(accounts: Accounts, join: Join) -> None:
    ada = join("ada", role="admin")
    assert accounts.require(ada.principal, "admin")
    join("bob", role="admin")
    accounts.set_role(LOCAL, ada.principal.user_id, "user")
    assert ada.principal.role == "admin"
    with pytest.raises(AccessError, match="administrator"):
        accounts.require(ada.principal, "admin")
    with pytest.raises(AccessError, match="administrator"):
        accounts.users(ada.principal)


def test_local_passes_but_owns_no_account(accounts: Accounts) -> None:
    assert accounts.require(LOCAL, "admin") is LOCAL
    for call in (
        lambda: accounts.sessions(LOCAL), lambda: accounts.delete_account(LOCAL, PHRASE),
        lambda: accounts.change_password(LOCAL, PHRASE, "copper lantern quiet walrus"),
        lambda: accounts.issue_ticket(LOCAL), lambda: accounts.update_profile(LOCAL, name="Root"),
    ):
        with pytest.raises(AccessError):
            call()


def test_list_and_revoke(accounts: Accounts, join: Join, clock: Clock) -> None:
    first = join("ada", address="192.0.2.1", user_agent="Phone/1 <script>\n\x1b[2J")
    clock.move(minutes=5)
    second = accounts.sign_in("ada", PHRASE, "2001:db8::1", "Laptop/2")
    listed = accounts.sessions(second.principal)
    assert [(s.user_agent, s.address, s.current) for s in listed] == [
        ("Laptop/2", "2001:db8::/64", True), ("Phone/1 <script>[2J", "192.0.2.1", False)]
    accounts.revoke(second.principal, listed[1].id)
    assert _dead(accounts, first)
    with pytest.raises(NotFoundError):
        accounts.revoke(second.principal, listed[1].id)
    third, fourth = accounts.sign_in("ada", PHRASE), accounts.sign_in("ada", PHRASE)
    assert accounts.revoke_others(fourth.principal) == 2
    assert _dead(accounts, second)
    assert _dead(accounts, third)
    assert accounts.require(fourth.principal)


def test_oldest_sessions_give_way(accounts: Accounts, join: Join, clock: Clock) -> None:
    first = join("ada")
    for _ in range(50):
        clock.move(minutes=1)
        last = accounts.sign_in("ada", PHRASE)
    assert _dead(accounts, first)
    assert len(accounts.sessions(last.principal)) == 50


def test_being_seen_is_written_once_a_minute(
    accounts: Accounts, join: Join, clock: Clock, engine: Engine
) -> None:
    ada = join("ada")
    writes: list[str] = []
    event.listen(engine, "before_cursor_execute",
                 lambda _c, _cur, statement, *_: writes.append(statement)
                 if statement.startswith("UPDATE") else None)
    for _ in range(10):
        accounts.require(ada.principal)
        accounts.principal_of(ada.token)
    assert writes == []
    clock.move(seconds=61)
    for _ in range(10):
        accounts.require(ada.principal)
    assert len(writes) == 1
    assert accounts.sessions(ada.principal)[0].seen_at == clock()


def test_ticket_is_exchanged_once_for_a_fresh_token(accounts: Accounts, join: Join) -> None:
    ada = join("ada")
    ticket = accounts.issue_ticket(ada.principal)
    token = accounts.redeem_ticket(ticket)
    assert token is not None
    assert token != ada.token
    assert accounts.principal_of(token) == ada.principal
    assert accounts.principal_of(ada.token) is None
    assert accounts.redeem_ticket(ticket) is None
    assert accounts.require(ada.principal)


def test_ticket_lives_a_minute_and_the_last_one_counts(accounts: Accounts, join: Join, clock: Clock) -> None:
    ada = join("ada")
    old = accounts.issue_ticket(ada.principal)
    new = accounts.issue_ticket(ada.principal)
    assert accounts.redeem_ticket(old) is None
    clock.move(seconds=60)
    assert accounts.redeem_ticket(new) is None
    third = accounts.issue_ticket(ada.principal)
    clock.move(days=-1)
    assert accounts.redeem_ticket(third) is None
    fourth = accounts.issue_ticket(ada.principal)
    accounts.sign_out(ada.principal)
    assert accounts.redeem_ticket(fourth) is None


def test_locked_database(
    accounts: Accounts, join: Join, clock: Clock, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process holds the database, reading goes on and writing says so; nothing is lost."""
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has no lock on the whole database")
    import pysqlite3

    ada = join("ada")
    clock.move(minutes=2)
    other = pysqlite3.connect(make_url(str(engine.url)).database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        assert accounts.require(ada.principal) == ada.principal
        assert accounts.principal_of(ada.token) == ada.principal
        monkeypatch.setattr("core.database.engine.PATIENCE", 0.05)
        for write in (
            lambda: accounts.sign_in("ada", PHRASE),
            lambda: accounts.sign_up("bob", "", "bob@example.org", PHRASE),
            lambda: accounts.change_password(ada.principal, PHRASE, "copper lantern quiet walrus"),
            lambda: accounts.sign_out(ada.principal),
        ):
            with pytest.raises(BusyError, match="database is busy"):
                write()
    finally:
        other.close()
    assert accounts.require(ada.principal)
    assert accounts.sign_in("ada", PHRASE)
