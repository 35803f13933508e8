"""A thousand wrong sign-ins in both patterns, and the owner who gets in all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from benchmarks.accounts import attempt
from core.accounts import Accounts, Hasher, SignedIn
from core.accounts.tables import Attempt
from core.accounts.throttle import ACCOUNT, ADDRESS, LONGEST_WAIT, PAIR
from core.database import reading
from core.errors import BusyError
from core.settings import Settings

from .conftest import PHRASE, Clock

Join = Callable[..., SignedIn]
HOME = "198.51.100.7"


def _wait(accounts: Accounts, login: str, address: str) -> float:
    with pytest.raises(BusyError) as caught:
        accounts.sign_in(login, PHRASE, address)
    seconds = caught.value.parameters["seconds"]
    assert isinstance(seconds, int)
    return seconds


def _many(engine: Engine) -> int:
    """A thousand tries; a fifth of them where each takes ten round trips to a server."""
    return 1000 if engine.dialect.name == "sqlite" else 200


def test_one_account_from_twenty_addresses(
    accounts: Accounts, join: Join, clock: Clock, engine: Engine
) -> None:
    """One try a second: few are checked, and the owner gets in from home at any time."""
    join("ada", address=HOME)
    outcomes = []
    for i in range(_many(engine)):
        outcomes.append(attempt(accounts, "ada", f"192.0.2.{i % 20}"))
        clock.move(seconds=1)
    assert outcomes.count("in") == 0
    assert outcomes.count("checked") <= ACCOUNT.free + 10
    assert attempt(accounts, "ada", HOME, PHRASE) == "in"
    assert attempt(accounts, "ada", "203.0.113.9", PHRASE) == "refused"
    clock.move(seconds=LONGEST_WAIT)
    assert attempt(accounts, "ada", "203.0.113.9", PHRASE) == "in"


def test_a_thousand_accounts_from_one_address(
    accounts: Accounts, join: Join, clock: Clock, engine: Engine
) -> None:
    join("ada", address=HOME)
    outcomes = [attempt(accounts, f"user{i}", "192.0.2.1") for i in range(_many(engine))]
    assert outcomes.count("checked") == ADDRESS.free
    assert attempt(accounts, "ada", "192.0.2.1", PHRASE) == "refused"
    assert attempt(accounts, "ada", HOME, PHRASE) == "in"
    clock.move(seconds=LONGEST_WAIT)
    assert attempt(accounts, "ada", "192.0.2.1", PHRASE) == "in"


def test_owner_in_the_same_network_as_the_guesser(accounts: Accounts, join: Join) -> None:
    join("ada", address=HOME)
    for i in range(100):
        attempt(accounts, f"user{i}", HOME)
    assert attempt(accounts, "ada", HOME, PHRASE) == "in"


def test_one_account_from_one_address(accounts: Accounts, join: Join, clock: Clock) -> None:
    join("ada")
    assert [attempt(accounts, "ada", HOME) for _ in range(10)] == ["checked"] * 5 + ["refused"] * 5
    waits = []
    for _ in range(12):
        wait = _wait(accounts, "ada", HOME)
        waits.append(wait)
        clock.move(seconds=wait)
        assert attempt(accounts, "ada", HOME) == "checked"
    assert waits[:9] == [2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert waits[9:] == [LONGEST_WAIT] * 3
    clock.move(seconds=LONGEST_WAIT)
    assert attempt(accounts, "ada", HOME, PHRASE) == "in"
    assert attempt(accounts, "ada", HOME) == "checked"


def test_throttling_does_not_tell_who_exists(accounts: Accounts, join: Join) -> None:
    join("ada")
    known = [attempt(accounts, "ada", "192.0.2.1") for _ in range(8)]
    unknown = [attempt(accounts, "nobody", "192.0.2.2") for _ in range(8)]
    assert known == unknown
    assert _wait(accounts, "ada", "192.0.2.1") == _wait(accounts, "nobody", "192.0.2.2")


def test_restart_forgives_nothing(
    accounts: Accounts, join: Join, engine: Engine, settings: Settings, clock: Clock, cheap: Hasher
) -> None:
    join("ada")
    for _ in range(6):
        attempt(accounts, "ada", HOME)
    engine.dispose()
    assert attempt(Accounts(engine, settings, clock, cheap), "ada", HOME, PHRASE) == "refused"


def test_refused_tries_do_not_prolong_the_wait(accounts: Accounts, join: Join, clock: Clock) -> None:
    join("ada")
    for _ in range(50):
        attempt(accounts, "ada", HOME)
    clock.move(seconds=2)
    assert attempt(accounts, "ada", HOME, PHRASE) == "in"


def test_many_at_once_are_counted_one_by_one(accounts: Accounts, join: Join) -> None:
    join("ada")
    outcomes: list[str] = []
    threads = [threading.Thread(target=lambda: outcomes.append(attempt(accounts, "ada", HOME)))
               for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("checked") == PAIR.free


def test_clock_set_back_does_not_lock_anyone_out(accounts: Accounts, join: Join, clock: Clock) -> None:
    join("ada")
    clock.move(days=365)
    for _ in range(20):
        attempt(accounts, "ada", HOME)
    clock.move(days=-365)
    assert attempt(accounts, "ada", HOME, PHRASE) == "in"


def test_clock_set_forward_keeps_the_cap(accounts: Accounts, join: Join, clock: Clock) -> None:
    join("ada")
    for _ in range(20):
        attempt(accounts, "ada", HOME)
    clock.move(days=1)
    assert attempt(accounts, "ada", HOME, PHRASE) == "in"


def test_addresses_that_are_not_known_share_a_loose_limit(accounts: Accounts, join: Join) -> None:
    join("ada")
    assert [attempt(accounts, f"user{i}", "") for i in range(110)].count("checked") == 100


def test_one_ipv6_customer_is_one_address(accounts: Accounts, join: Join) -> None:
    join("ada")
    outcomes = [attempt(accounts, "ada", f"2001:db8:0:1::{i:x}") for i in range(1, 20)]
    assert outcomes.count("checked") == PAIR.free


def test_old_attempts_are_forgotten(accounts: Accounts, join: Join, engine: Engine, clock: Clock) -> None:
    join("ada")
    for i in range(10):
        attempt(accounts, f"user{i}", f"192.0.2.{i}")
    clock.move(days=3)
    attempt(accounts, "ada", HOME)
    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(Attempt)) == 1


@given(st.integers(0, 10**9))
def test_waits_grow_up_to_the_cap(failures: int) -> None:
    for rule in (PAIR, ACCOUNT, ADDRESS):
        assert 0 <= rule.wait(failures) <= rule.wait(failures + 1) <= LONGEST_WAIT
        assert (rule.wait(failures) == 0) == (failures < rule.free)
        assert rule.window.total_seconds() > rule.cap
