"""One's own account: profile, password, reset links, deletion."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from core.accounts import LOCAL, Accounts, SignedIn
from core.accounts.tables import KnownAddress, Reset, SignInSession, Ticket, User
from core.database import reading
from core.errors import AccessError, BusyError, InputError

from .conftest import PHRASE, Clock

Join = Callable[..., SignedIn]
NEW = "copper lantern quiet walrus"


def _count(engine: Engine, table: type) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_update_profile(accounts: Accounts, join: Join) -> None:
    ada = join("ada").principal
    changed = accounts.update_profile(ada, name=" Ada  King ", language="fr")
    assert (changed.name, changed.language, changed.email) == ("Ada King", "fr", "ada@example.org")
    changed = accounts.update_profile(ada, email="Countess@Example.org", password=PHRASE)
    assert changed.email == "countess@example.org"
    assert accounts.require(ada) == changed
    assert accounts.sign_in("countess@example.org", PHRASE)
    with pytest.raises(InputError):
        accounts.sign_in("ada@example.org", PHRASE)


def test_a_name_as_it_is_can_be_saved_again(accounts: Accounts, join: Join) -> None:
    """A name made from the user name may hold what a new one may not."""
    dan = join("dan_1").principal
    assert accounts.update_profile(dan, name="dan_1", language="fr").name == "dan_1"
    with pytest.raises(InputError, match="name"):
        accounts.update_profile(dan, name="")


def test_new_email_needs_the_pass_phrase_and_must_be_free(accounts: Accounts, join: Join) -> None:
    ada = join("ada").principal
    join("bob")
    with pytest.raises(InputError, match="current password"):
        accounts.update_profile(ada, email="new@example.org")
    with pytest.raises(InputError, match="not available"):
        accounts.update_profile(ada, email="BOB@example.org", password=PHRASE)
    for wrong in ({"name": "<b>"}, {"email": "x"}, {"language": "xx"}):
        with pytest.raises(InputError):
            accounts.update_profile(ada, **wrong)
    assert accounts.require(ada) == ada


def test_change_password_needs_the_present_one(accounts: Accounts, join: Join) -> None:
    ada = join("ada").principal
    with pytest.raises(InputError, match="current password"):
        accounts.change_password(ada, "wrong", NEW)
    with pytest.raises(InputError, match="short"):
        accounts.change_password(ada, PHRASE, "short")
    with pytest.raises(InputError, match="user name"):
        accounts.change_password(ada, PHRASE, "ada@example.org kettle orbit")
    assert accounts.require(ada)
    accounts.change_password(ada, PHRASE, NEW)
    with pytest.raises(InputError):
        accounts.sign_in("ada", PHRASE)
    assert accounts.sign_in("ada", NEW)


def test_stolen_session_cannot_guess_the_pass_phrase(accounts: Accounts, join: Join, clock: Clock) -> None:
    ada = join("ada").principal
    for _ in range(5):
        with pytest.raises(InputError):
            accounts.change_password(ada, "wrong", NEW)
    for call in (lambda: accounts.change_password(ada, PHRASE, NEW),
                 lambda: accounts.delete_account(ada, PHRASE),
                 lambda: accounts.update_profile(ada, email="x@example.org", password=PHRASE)):
        with pytest.raises(BusyError):
            call()
    assert accounts.sign_in("ada", PHRASE)
    clock.move(seconds=2)
    assert accounts.change_password(ada, PHRASE, NEW)


def test_asking_for_a_reset_changes_nothing(accounts: Accounts, join: Join) -> None:
    ada = join("ada")
    accounts.reset_link(LOCAL, ada.principal.user_id)
    assert accounts.require(ada.principal)
    assert accounts.sign_in("ada", PHRASE)


def test_reset_link_works_once_and_ends_sessions(accounts: Accounts, join: Join) -> None:
    ada = join("ada")
    token = accounts.reset_link(LOCAL, ada.principal.user_id)
    with pytest.raises(InputError, match="short"):
        accounts.redeem_reset(token, "short")
    accounts.redeem_reset(token, NEW)
    assert accounts.principal_of(ada.token) is None
    assert accounts.sign_in("ada", NEW)
    with pytest.raises(InputError, match="link"):
        accounts.redeem_reset(token, PHRASE)
    assert accounts.sign_in("ada", NEW)


def test_reset_link_dies(accounts: Accounts, join: Join, clock: Clock) -> None:
    ada = join("ada")
    user_id = ada.principal.user_id

    def dead(token: str) -> bool:
        with pytest.raises(InputError, match="link"):
            accounts.redeem_reset(token, NEW)
        return True

    replaced = accounts.reset_link(LOCAL, user_id)
    late = accounts.reset_link(LOCAL, user_id)
    assert dead(replaced)
    clock.move(minutes=30)
    assert dead(late)
    early = accounts.reset_link(LOCAL, user_id)
    clock.move(days=-1)
    assert dead(early)
    clock.move(days=1)
    changed = accounts.reset_link(LOCAL, user_id)
    accounts.change_password(ada.principal, PHRASE, "another lantern quiet walrus")
    assert dead(changed)
    disabled = accounts.reset_link(LOCAL, user_id)
    accounts.disable(LOCAL, user_id)
    assert dead(disabled)
    with pytest.raises(InputError, match="disabled"):
        accounts.reset_link(LOCAL, user_id)
    accounts.enable(LOCAL, user_id)
    assert dead(disabled)
    assert dead("nonsense")
    assert dead("\ud800\x00")


def test_delete_account_removes_all_it_owns(accounts: Accounts, engine: Engine, join: Join) -> None:
    ada, bob = join("ada", address="192.0.2.1"), join("bob", address="192.0.2.2")
    accounts.issue_ticket(ada.principal)
    accounts.reset_link(LOCAL, ada.principal.user_id)
    order: list[str] = []

    def hook(session: Session, user_id: str) -> Callable[[], None]:
        assert session.get(User, user_id) is not None
        order.append(user_id)
        return lambda: order.append("afterwards")

    accounts.on_delete(hook)
    with pytest.raises(InputError, match="current password"):
        accounts.delete_account(ada.principal, "wrong")
    assert order == []
    accounts.delete_account(ada.principal, PHRASE)
    assert order == [ada.principal.user_id, "afterwards"]
    assert [_count(engine, table) for table in (User, SignInSession, KnownAddress, Ticket, Reset)] == [
        1, 1, 1, 0, 0]
    with pytest.raises(AccessError):
        accounts.require(ada.principal)
    assert accounts.require(bob.principal)
    assert join("ada").principal.user_id != ada.principal.user_id


def test_failing_hook_deletes_nothing(accounts: Accounts, join: Join) -> None:
    ada = join("ada")

    def hook(session: Session, user_id: str) -> None:
        session.delete(session.get_one(User, user_id))
        raise BusyError("a run is still going")

    accounts.on_delete(hook)
    with pytest.raises(BusyError, match="still going"):
        accounts.delete_account(ada.principal, PHRASE)
    assert accounts.require(ada.principal)
