"""Sign-up and sign-in: policy, uniqueness, invitations, one answer to every failure."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

import pytest
from sqlalchemy import Engine, func, select

from core.accounts import LOCAL, Accounts, Hasher, SignedIn
from core.accounts.tables import SignInSession, User
from core.database import reading
from core.errors import AccessError, BusyError, InputError, SecateurError
from core.settings import Settings, SignUp

from .conftest import PHRASE, Clock

Join = Callable[..., SignedIn]


@pytest.fixture
def under(engine: Engine, settings: Settings, clock: Clock, cheap: Hasher) -> Callable[..., Accounts]:
    """The service under a sign-up policy."""

    def make(policy: Literal["open", "invitation", "closed"] = "open", **more: object) -> Accounts:
        section = SignUp.model_validate({"policy": policy, **more})
        return Accounts(engine, settings.model_copy(update={"sign_up": section}), clock, cheap)

    return make


def _count(engine: Engine, table: type = User) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_sign_up_signs_in(accounts: Accounts) -> None:
    got = accounts.sign_up(" Ada ", "Ada Lovelace", "Ada@Example.org", PHRASE, language="fr",
                           address="192.0.2.1", user_agent="Browser/1")
    person = accounts.principal_of(got.token)
    assert person == got.principal
    assert person is not None
    assert (person.username, person.name, person.email, person.role, person.language) == (
        "ada", "Ada Lovelace", "ada@example.org", "user", "fr")
    assert accounts.require(person) == person


def test_without_a_name_the_user_name_is_shown(accounts: Accounts) -> None:
    assert accounts.sign_up("ada", " ", "ada@example.org", PHRASE).principal.name == "ada"


@pytest.mark.parametrize("login", ["ada", "ADA", " ada ", "ada@example.org", "Ada@Example.Org", "ａｄａ"])
def test_sign_in_by_user_name_or_email(accounts: Accounts, join: Join, login: str) -> None:
    join("ada")
    got = accounts.sign_in(login, PHRASE, "192.0.2.1", "Browser/1")
    assert accounts.principal_of(got.token) == got.principal


def test_nothing_secret_is_stored(accounts: Accounts, engine: Engine, join: Join) -> None:
    got = join("ada")
    ticket = accounts.issue_ticket(got.principal)
    invitation, link = accounts.invite(LOCAL), accounts.reset_link(LOCAL, got.principal.user_id)
    with engine.connect() as connection:
        dump = "".join(
            str(connection.exec_driver_sql(f"select * from {table}").fetchall())
            for table in ("users", "sessions", "tickets", "invitations", "resets", "attempts"))
    for secret in (PHRASE, got.token, ticket, invitation, link):
        assert secret not in dump
    assert "$argon2id$" in dump


def test_every_failure_reads_the_same(accounts: Accounts, join: Join) -> None:
    join("ada")
    disabled = join("bob")
    accounts.disable(LOCAL, disabled.principal.user_id)
    answers = set()
    for i, (login, password) in enumerate([
        ("ada", PHRASE + " "), ("ada", PHRASE.upper()), ("ada", ""), ("nobody", PHRASE), ("", ""),
        ("bob", PHRASE), ("ada", "x" * 100_000), ("a" * 100_000, PHRASE), ("ada\x00", PHRASE),
        ("' or 1=1 --", PHRASE), ("ada", "\ud800"), ("\ud800", PHRASE),
    ]):
        with pytest.raises(InputError) as caught:
            accounts.sign_in(login, password, f"192.0.2.{i}")
        answers.add(str(caught.value))
    assert len(answers) == 1


@pytest.mark.parametrize(("username", "email"), [
    ("ada", "other@example.org"), ("ADA", "other@example.org"), ("ａｄａ", "other@example.org"),
    ("other", "ada@example.org"), ("other", "ADA@EXAMPLE.ORG"),
])
def test_taken_names_and_emails_read_the_same(
    accounts: Accounts, engine: Engine, join: Join, username: str, email: str
) -> None:
    join("ada")
    with pytest.raises(InputError, match="user name or e-mail address is not available"):
        accounts.sign_up(username, "Other", email, PHRASE)
    assert _count(engine) == 1


def test_bad_fields_store_nothing(accounts: Accounts, engine: Engine) -> None:
    for username, name, email, password, language in [
        ("a", "Ada", "ada@example.org", PHRASE, "en"), ("ada", "<b>", "ada@example.org", PHRASE, "en"),
        ("ada", "Ada", "ada", PHRASE, "en"), ("ada", "Ada", "ada@example.org", "Password1!", "en"),
        ("ada", "Ada", "ada@example.org", PHRASE, "xx"),
    ]:
        with pytest.raises(InputError):
            accounts.sign_up(username, name, email, password, language=language)
    assert _count(engine) == 0


def test_fifty_threads_register_one_name(engine: Engine, settings: Settings, clock: Clock, cheap: Hasher) -> None:
    """Case and compatibility variants are one name, and so are those of the e-mail address."""
    accounts = Accounts(engine, settings, clock, cheap)
    names = ["ada", "Ada", "ADA", "ａｄａ", "adA"]
    barrier = threading.Barrier(50)
    made: list[SignedIn] = []
    refused: list[BaseException] = []

    def register(i: int) -> None:
        barrier.wait()
        try:
            made.append(accounts.sign_up(names[i % 5], "Ada", f"{names[i % 3]}@Example.org", PHRASE,
                                         address=f"192.0.2.{i}"))
        except BaseException as error:
            refused.append(error)

    threads = [threading.Thread(target=register, args=(i,)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(error) for error in refused] == [InputError] * 49, refused
    assert {str(error) for error in refused} == {str(refused[0])}
    assert _count(engine) == 1
    assert _count(engine, SignInSession) == 1
    assert accounts.principal_of(made[0].token) == made[0].principal


def test_policy_closed_and_invitation(under: Callable[..., Accounts], engine: Engine) -> None:
    token = under("closed").invite(LOCAL)
    for policy, invitation in (("closed", ""), ("closed", token), ("invitation", "")):
        with pytest.raises(AccessError):
            under(policy).sign_up("ada", "Ada", "ada@example.org", PHRASE, invitation=invitation)
    for wrong in ("nonsense", token + "x"):
        with pytest.raises(InputError, match="invitation"):
            under("invitation").sign_up("ada", "Ada", "ada@example.org", PHRASE, invitation=wrong)
    assert _count(engine) == 0
    assert under("invitation").sign_up("ada", "Ada", "ada@example.org", PHRASE, invitation=token)


def test_invitation_works_once_even_for_many_at_once(under: Callable[..., Accounts], engine: Engine) -> None:
    accounts = under("invitation")
    token = accounts.invite(LOCAL, role="admin")
    outcomes: list[object] = []

    def register(i: int) -> None:
        try:
            outcomes.append(accounts.sign_up(f"user{i}", "", f"user{i}@example.org", PHRASE,
                                             invitation=token).principal.role)
        except SecateurError as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=register, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == sorted(["admin", *[str(InputError)] * 7])
    assert _count(engine) == 1


def test_failed_sign_up_does_not_use_up_the_invitation(under: Callable[..., Accounts]) -> None:
    accounts = under("invitation")
    accounts.sign_up("ada", "", "ada@example.org", PHRASE, invitation=accounts.invite(LOCAL))
    token = accounts.invite(LOCAL)
    with pytest.raises(InputError, match="not available"):
        accounts.sign_up("ada", "", "bob@example.org", PHRASE, invitation=token)
    assert accounts.invited(token) == ""
    accounts.sign_up("bob", "", "bob@example.org", PHRASE, invitation=token)
    assert accounts.invited(token) is None


def test_invitation_binds_to_its_email_and_expires(under: Callable[..., Accounts], clock: Clock) -> None:
    accounts = under("invitation")
    token = accounts.invite(LOCAL, "Ada@Example.org", days=2)
    assert accounts.invited(token) == "ada@example.org"
    with pytest.raises(InputError, match="invitation"):
        accounts.sign_up("eve", "", "eve@example.org", PHRASE, invitation=token)
    clock.move(days=2, seconds=1)
    assert accounts.invited(token) is None
    with pytest.raises(InputError, match="invitation"):
        accounts.sign_up("ada", "", "ada@example.org", PHRASE, invitation=token)


def test_withdrawn_invitation_is_void(under: Callable[..., Accounts]) -> None:
    accounts = under("invitation")
    token = accounts.invite(LOCAL)
    [listed] = accounts.invitations(LOCAL)
    accounts.withdraw(LOCAL, listed.id)
    assert accounts.invitations(LOCAL) == []
    with pytest.raises(InputError, match="invitation"):
        accounts.sign_up("ada", "", "ada@example.org", PHRASE, invitation=token)


def test_first_account_is_admin_only_if_the_settings_say_so(under: Callable[..., Accounts]) -> None:
    assert under().sign_up("ada", "", "ada@example.org", PHRASE).principal.role == "user"
    assert under(first_is_admin=True).sign_up("bob", "", "bob@example.org", PHRASE).principal.role == "user"


@pytest.mark.parametrize("policy", ["open", "invitation", "closed"])
def test_first_is_admin_under_any_policy(under: Callable[..., Accounts], policy: str) -> None:
    accounts = under(policy, first_is_admin=True)
    assert accounts.sign_up("ada", "", "ada@example.org", PHRASE).principal.role == "admin"


def test_only_one_of_many_first_accounts_is_admin(under: Callable[..., Accounts]) -> None:
    accounts = under(first_is_admin=True)
    roles: list[str] = []

    def register(i: int) -> None:
        roles.append(accounts.sign_up(f"user{i}", "", f"user{i}@example.org", PHRASE).principal.role)

    threads = [threading.Thread(target=register, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(roles) == ["admin"] + ["user"] * 7


def test_emails_named_in_the_settings_become_admins(under: Callable[..., Accounts]) -> None:
    accounts = under(admins=("Boss@Example.org",))
    assert accounts.sign_up("ada", "", "ada@example.org", PHRASE).principal.role == "user"
    assert accounts.sign_up("boss", "", "boss@example.org", PHRASE).principal.role == "admin"


def test_hash_is_renewed_when_the_parameters_change(
    engine: Engine, settings: Settings, clock: Clock, cheap: Hasher
) -> None:
    Accounts(engine, settings, clock, cheap).sign_up("ada", "", "ada@example.org", PHRASE)
    stronger = Accounts(engine, settings, clock, Hasher(2, 16, 1))
    stronger.sign_in("ada", PHRASE)
    with reading(engine) as session:
        assert "m=16,t=2,p=1" in str(session.scalar(select(User.password)))
    stronger.sign_in("ada", PHRASE)


def test_sign_ups_from_one_address_are_slowed_down(accounts: Accounts, clock: Clock, engine: Engine) -> None:
    for i in range(30):
        accounts.sign_up(f"user{i}", "", f"user{i}@example.org", PHRASE, address="192.0.2.1")
    with pytest.raises(BusyError, match="Wait"):
        accounts.sign_up("user30", "", "user30@example.org", PHRASE, address="192.0.2.1")
    assert _count(engine) == 30
    accounts.sign_up("elsewhere", "", "elsewhere@example.org", PHRASE, address="192.0.2.2")
    clock.move(minutes=61)
    accounts.sign_up("later", "", "later@example.org", PHRASE, address="192.0.2.1")
