"""What a person and an administrator do with accounts, on the pages."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from core.database import now
from pages._ui import services
from pages._ui.session_list import device
from tests.pages.people import PASSWORD, home, open_page, person, words

__all__ = ["home"]


def fill_sign_up(app: object, name: str, password: str = PASSWORD, repeated: str | None = None) -> None:
    """Fill the sign-up form and press its button."""
    for key, value in {"name": name.title(), "email": f"{name}@example.org", "username": name,
                       "password": password, "repeated": password if repeated is None else repeated}.items():
        field = app.text_input(key=f"sign_up.{key}")
        if not field.disabled:
            field.input(value)
    app.checkbox(key="sign_up.agreed").check()
    app.button(key="sign_up.create").click().run()


def test_sign_up_opens_an_account_in_the_language_of_the_page(home: Path) -> None:
    """The account exists afterwards and remembers the language."""
    app = open_page("public/sign_up.py", locale="fr-FR")
    fill_sign_up(app, "dora")
    assert not app.error
    signed_in = services.accounts().sign_in("dora", PASSWORD)
    assert signed_in.principal.language == "fr"
    assert signed_in.principal.role == "user"


def test_sign_up_shows_strength_and_refuses_what_is_weak(home: Path) -> None:
    """The meter speaks in words at each change; the service has the last word."""
    app = open_page("public/sign_up.py")
    app.text_input(key="sign_up.password").input("Password1!").run()
    assert app.get("progress")[0].proto.text.startswith("Strength: ")
    fill_sign_up(app, "eve", "Password1!")
    assert len(app.error) == 1
    fill_sign_up(app, "eve", PASSWORD, PASSWORD + "x")
    assert "differ" in app.error[0].value
    with pytest.raises(Exception, match="do not belong"):
        services.accounts().sign_in("eve", PASSWORD)


def test_sign_up_by_invitation_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an invitation nobody gets in; with one, its address is fixed and it works once."""
    ada = person("ada")
    monkeypatch.setenv("SECATEUR_SIGN_UP__POLICY", "invitation")
    monkeypatch.setenv("SECATEUR_SIGN_UP__ADMINS", "[]")
    services.forget()
    assert "by invitation" in words(open_page("public/sign_up.py"))
    token = services.accounts().invite(ada.principal, "fay@example.org")
    app = open_page("public/sign_up.py", invitation=token)
    assert app.text_input(key="sign_up.email").value == "fay@example.org"
    fill_sign_up(app, "fay")
    assert services.accounts().sign_in("fay@example.org", PASSWORD)
    assert "expired or was used" in words(open_page("public/sign_up.py", invitation=token))


def test_sign_up_closed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed installation shows a sentence and no field."""
    monkeypatch.setenv("SECATEUR_SIGN_UP__POLICY", "closed")
    monkeypatch.setenv("SECATEUR_SIGN_UP__ADMINS", "[]")
    services.forget()
    app = open_page("public/sign_up.py")
    assert "closed" in words(app)
    assert not app.text_input
    assert not open_page("public/welcome.py").button


def test_profile_is_saved_and_a_new_email_needs_the_password(home: Path) -> None:
    """Name and language change at once; the e-mail only with the current password."""
    ben = person("ben")
    app = open_page("account/account.py", ben.token)
    app.text_input(key="account.name").input("Benoît")
    app.selectbox(key="account.language").select("fr")
    next(b for b in app.button if b.label == "Save").click().run()
    assert services.accounts().principal_of(ben.token).name == "Benoît"
    app = open_page("account/account.py", ben.token)
    app.text_input(key="account.email").input("other@example.org")
    app.button[0].click().run()
    assert len(app.error) == 1
    assert services.accounts().principal_of(ben.token).email == "ben@example.org"


def test_changing_the_password_ends_the_old_token(home: Path) -> None:
    """The tab goes on with a new session, the old token is dead."""
    ben = person("ben")
    app = open_page("account/account.py", ben.token)
    app.text_input(key="account.old").input(PASSWORD)
    app.text_input(key="account.password").input("seven copper kettles asleep")
    app.text_input(key="account.repeated").input("seven copper kettles asleep")
    app.button(key="account.change").click().run()
    assert not app.error
    assert services.accounts().principal_of(ben.token) is None
    assert services.accounts().principal_of(app.session_state["secateur.token"]) is not None


def test_deleting_the_account_needs_the_box_and_the_password(home: Path) -> None:
    """Neither alone is enough; both leave nobody of that name."""
    ben = person("ben")
    app = open_page("account/account.py", ben.token)
    app.text_input(key="account.final").input(PASSWORD)
    delete = next(b for b in app.button if b.label == "Delete the account")
    delete.click().run()
    assert "Tick the box" in app.error[0].value
    app.checkbox(key="account.sure").check()
    app.text_input(key="account.final").input(PASSWORD)
    next(b for b in app.button if b.label == "Delete the account").click().run()
    assert services.accounts().principal_of(ben.token) is None
    with pytest.raises(Exception, match="do not belong"):
        services.accounts().sign_in("ben", PASSWORD)


def test_an_administrator_sees_pages_of_users_and_invites(home: Path) -> None:
    """The table has a page of accounts; an invitation's link is shown once."""
    ada = person("ada")
    ben = person("ben")
    app = open_page("admin/users.py", ada.token)
    assert list(app.dataframe[0].value.iloc[:, 0]) == ["ada", "ben"]
    next(b for b in app.button if b.label == "Invite").click().run()
    link = urlsplit(app.code[0].value)
    token = parse_qs(link.query)["invitation"][0]
    assert (link.netloc, link.path) == ("localhost:8501", "/sign-up")
    assert services.accounts().invited(token) == ""
    app.run()
    assert not app.code
    assert ben.principal.username in words(app) or app.dataframe


def test_a_reset_link_sets_a_new_password_once(home: Path) -> None:
    """The reset page takes the token of the link; a second use is refused."""
    ada, ben = person("ada"), person("ben")
    token = services.accounts().reset_link(ada.principal, ben.principal.user_id)
    app = open_page("public/reset.py", token=token)
    for _ in range(2):
        app.text_input(key="reset.password").input("seven copper kettles asleep")
        app.text_input(key="reset.repeated").input("seven copper kettles asleep")
        app.button(key="reset.set").click().run()
    assert len(app.error) == 1
    assert services.accounts().principal_of(ben.token) is None
    assert services.accounts().sign_in("ben", "seven copper kettles asleep")
    assert not open_page("public/reset.py").button


def test_help_names_the_limits(home: Path) -> None:
    """The figures come from the settings."""
    app = open_page("help/help.py", person("ben").token)
    assert "10 MB" in words(app)
    assert not app.error


@pytest.mark.parametrize(("agent", "name"), [
    ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36", "Chrome · Linux"),
    ("Mozilla/5.0 (Windows NT 10.0; rv:131.0) Gecko/20100101 Firefox/131.0", "Firefox · Windows"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari · iPhone"),
    ("curl/8", ""),
])
def test_devices_are_named_as_people_do(agent: str, name: str) -> None:
    """Only the marks that browsers really send are read."""
    assert device(agent) == name


def test_moments_follow_the_language(home: Path) -> None:
    """The list of sessions shows the year in the account's language and time zone."""
    app = open_page("account/account.py", person("ben").token)
    assert str(now().year) in words(app)


@pytest.mark.parametrize("value", ["//evil.example", "a" * 5000, "\x00<script>\u202eé%00"])
def test_odd_links_are_answered_in_words(home: Path, value: str) -> None:
    """Whatever stands in the address, the page is a sentence or a form, never an error of ours."""
    person("ben")
    for file, key in (("public/sign_up.py", "invitation"), ("public/reset.py", "token"),
                      ("account/account.py", "next")):
        app = open_page(file, **{key: value})
        assert not app.exception
        assert "on our side" not in words(app)
    app = open_page("public/reset.py", token=value or "x")
    app.text_input(key="reset.password").input("seven copper kettles asleep")
    app.text_input(key="reset.repeated").input("seven copper kettles asleep")
    app.button(key="reset.set").click().run()
    assert len(app.error) == 1
    assert "on our side" not in app.error[0].value
