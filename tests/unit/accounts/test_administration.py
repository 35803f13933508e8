"""What administrators do, and that nobody else does it, nor anything with another's account."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from core.accounts import LOCAL, Accounts, SignedIn
from core.errors import AccessError, InputError, NotFoundError

from .conftest import PHRASE, Clock

Join = Callable[..., SignedIn]
NOBODY = "00000000-0000-0000-0000-000000000000"

ADMIN_ONLY: dict[str, Callable[[Accounts, Any, str], object]] = {
    "users": lambda a, p, _: a.users(p),
    "invite": lambda a, p, _: a.invite(p),
    "invitations": lambda a, p, _: a.invitations(p),
    "withdraw": lambda a, p, i: a.withdraw(p, i),
    "disable": lambda a, p, i: a.disable(p, i),
    "enable": lambda a, p, i: a.enable(p, i),
    "set_role": lambda a, p, i: a.set_role(p, i, "admin"),
    "reset_link": lambda a, p, i: a.reset_link(p, i),
}
OWN: dict[str, Callable[[Accounts, Any], object]] = {
    "require": lambda a, p: a.require(p),
    "sessions": lambda a, p: a.sessions(p),
    "revoke": lambda a, p: a.revoke(p, p.session_id),
    "revoke_others": lambda a, p: a.revoke_others(p),
    "issue_ticket": lambda a, p: a.issue_ticket(p),
    "update_profile": lambda a, p: a.update_profile(p, name="Mallory"),
    "change_password": lambda a, p: a.change_password(p, PHRASE, "copper lantern quiet walrus"),
    "delete_account": lambda a, p: a.delete_account(p, PHRASE),
}
STRANGERS = {"sign_up", "sign_in", "principal_of", "redeem_ticket", "redeem_reset", "invited"}
NEITHER = {"sign_out", "on_delete"}  # ends only what it is given; is for other rooms


def test_every_method_is_in_the_matrix() -> None:
    public = {name for name in dir(Accounts) if not name.startswith("_")}
    assert public == ADMIN_ONLY.keys() | OWN.keys() | STRANGERS | NEITHER


def test_users_administer_nothing(accounts: Accounts, join: Join) -> None:
    """Neither oneself nor somebody else nor nobody, and the answer does not tell which of them exists."""
    ada, bob = join("ada").principal, join("bob").principal
    accounts.invite(LOCAL)
    [invitation] = accounts.invitations(LOCAL)
    answers = set()
    for call in ADMIN_ONLY.values():
        for target in (ada.user_id, bob.user_id, NOBODY, invitation.id, "", "x" * 10_000, "\x00", "\ud800"):
            with pytest.raises(AccessError) as caught:
                call(accounts, ada, target)
            answers.add(str(caught.value))
    assert answers == {"Only an administrator can do this."}
    assert accounts.require(bob) == bob
    assert accounts.require(ada) == ada
    assert len(accounts.invitations(LOCAL)) == 1


def test_ended_session_does_nothing(accounts: Accounts, join: Join) -> None:
    """A page that was open when its session ended elsewhere can do nothing more, an administrator's included."""
    join("root", role="admin")
    ended = join("ada", role="admin").principal
    accounts.sign_out(ended)
    before = accounts.users(LOCAL).items
    for own in OWN.values():
        with pytest.raises(AccessError, match="Sign in again"):
            own(accounts, ended)
    for administer in ADMIN_ONLY.values():
        with pytest.raises(AccessError, match="Sign in again"):
            administer(accounts, ended, ended.user_id)
    assert accounts.users(LOCAL).items == before
    assert accounts.sign_in("ada", PHRASE)


def test_one_cannot_end_anothers_session(accounts: Accounts, join: Join) -> None:
    ada, eve = join("ada"), join("eve")
    theirs = accounts.sessions(ada.principal)[0].id
    answers = set()
    for target in (theirs, NOBODY, "", "\x00", "\ud800", "x" * 10_000):
        with pytest.raises(NotFoundError) as caught:
            accounts.revoke(eve.principal, target)
        answers.add(str(caught.value))
    assert len(answers) == 1
    assert accounts.revoke_others(eve.principal) == 0
    assert accounts.require(ada.principal)
    assert [s.id for s in accounts.sessions(eve.principal)] == [eve.principal.session_id]


def test_administrators_find_nobody_politely(accounts: Accounts, join: Join) -> None:
    root = join("root", role="admin").principal
    for name in ("disable", "enable", "set_role", "reset_link", "withdraw"):
        for target in (NOBODY, "", "\x00", "\ud800"):
            with pytest.raises(NotFoundError):
                ADMIN_ONLY[name](accounts, root, target)


def test_listing_pages_and_search(accounts: Accounts, join: Join, clock: Clock) -> None:
    for name in ("carol", "ada", "bob", "dan_1", "danx1"):
        join(name)
    root = join("root", role="admin").principal
    first = accounts.users(root, size=2)
    assert [u.username for u in first.items] == ["ada", "bob"]
    assert first.total == 6
    assert [u.username for u in accounts.users(root, page=3, size=2).items] == ["danx1", "root"]
    assert accounts.users(root, page=9, size=2).items == []
    assert [u.username for u in accounts.users(root, search="AROL").items] == ["carol"]
    assert [u.username for u in accounts.users(root, search="dan_").items] == ["dan_1"]
    assert accounts.users(root, search="%").total == 0
    assert accounts.users(root, page=-5, size=10**9).total == 6
    seen = accounts.users(root, search="carol").items[0]
    assert seen.seen_at == clock()
    accounts.revoke_others(root)
    accounts.disable(root, seen.id)
    gone = accounts.users(root, search="carol").items[0]
    assert (gone.disabled, gone.seen_at) == (True, None)


def test_only_administrator_stays(accounts: Accounts, join: Join) -> None:
    root = join("root", role="admin").principal
    for call in (lambda: accounts.disable(root, root.user_id),
                 lambda: accounts.disable(LOCAL, root.user_id),
                 lambda: accounts.set_role(root, root.user_id, "user"),
                 lambda: accounts.delete_account(root, PHRASE)):
        with pytest.raises(InputError, match="only administrator"):
            call()
    second = join("second", role="admin").principal
    accounts.disable(root, second.user_id)
    with pytest.raises(InputError, match="only administrator"):
        accounts.set_role(root, root.user_id, "user")
    accounts.enable(root, second.user_id)
    accounts.set_role(root, root.user_id, "user")
    with pytest.raises(AccessError):
        accounts.users(root)


def test_two_administrators_cannot_remove_each_other_at_once(
    accounts: Accounts, join: Join, engine: Engine
) -> None:
    one, two = join("one", role="admin").principal, join("two", role="admin").principal
    barrier = threading.Barrier(2)
    failures: list[BaseException] = []

    def remove(me: Any, other: Any) -> None:
        barrier.wait()
        try:
            accounts.set_role(me, other.user_id, "user")
        except (AccessError, InputError) as error:
            failures.append(error)

    threads = [threading.Thread(target=remove, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == 1
    assert [u.role for u in accounts.users(LOCAL).items].count("admin") == 1


@pytest.mark.parametrize(("role", "days"), [("root", 7), ("user", 0), ("user", -1), ("user", 91)])
def test_invitations_out_of_bounds(accounts: Accounts, role: Any, days: float) -> None:
    with pytest.raises(InputError):
        accounts.invite(LOCAL, None, role, days)
    with pytest.raises(InputError):
        accounts.invite(LOCAL, "not an address")


def test_unknown_role(accounts: Accounts, join: Join) -> None:
    bob = join("bob").principal
    with pytest.raises(InputError):
        accounts.set_role(LOCAL, bob.user_id, "root")  # type: ignore[arg-type]
