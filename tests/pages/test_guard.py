"""Who sees what: visitors, members, administrators, and tabs whose session has ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages._ui import services
from pages._ui.site import SITE, site
from tests.pages.people import PASSWORD, home, open_page, person, words

__all__ = ["home"]

PROTECTED = [entry.file for entry in site() if entry.shown in {"member", "admin", "nobody"}
             and not entry.file.startswith("public/")]


@pytest.mark.parametrize("file", PROTECTED)
def test_a_visitor_sees_sign_in_and_nothing_of_the_page(home: Path, file: str) -> None:
    """Every page that is not public begins with its guard."""
    app = open_page(file)
    assert not app.exception
    assert [field.label for field in app.text_input] == ["User name or e-mail", "Password"]
    assert not app.title
    assert not app.tabs
    assert not app.file_uploader


@pytest.mark.parametrize("file", [entry.file for entry in site() if entry.file.startswith("public/")])
def test_public_pages_show_without_signing_in(home: Path, file: str) -> None:
    """Welcome, sign-in, sign-up and the reset page need nobody."""
    app = open_page(file)
    assert not app.exception
    assert not app.error
    assert words(app)


def test_a_member_is_refused_the_administrators_page(home: Path) -> None:
    """A role is asked for by the page and again by each service."""
    app = open_page("admin/users.py", person("ben").token)
    assert len(app.error) == 1
    assert not app.title
    assert not app.dataframe


def test_signing_in_by_the_form_opens_the_page(home: Path) -> None:
    """A wrong password says so in one sentence; the right one shows the very page."""
    person("ben")
    app = open_page("account/account.py")
    app.text_input[0].input("ben")
    app.text_input[1].input("wrong words altogether")
    app.button[0].click().run()
    assert "do not belong together" in app.error[0].value
    app.text_input[0].input("BEN@example.org")
    app.text_input[1].input(PASSWORD)
    app.button[0].click().run()
    assert [title.value for title in app.title] == ["My account"]


def test_a_password_is_used_exactly_as_typed(home: Path) -> None:
    """Spaces around it belong to it; the stock controller would strip them."""
    password = "  two spaces around this one  "
    services.accounts().sign_up("spacey", "Spacey", "spacey@example.org", password)
    app = open_page("account/account.py")
    app.text_input[0].input("spacey")
    app.text_input[1].input(password.strip())
    app.button[0].click().run()
    assert app.error
    app.text_input[0].input("spacey")
    app.text_input[1].input(password)
    app.button[0].click().run()
    assert [title.value for title in app.title] == ["My account"]


def test_a_revoked_tab_can_end_no_session_by_its_callback(home: Path) -> None:
    """A callback runs before the guard, so the service itself must refuse."""
    accounts = services.accounts()
    here = person("ben")
    other = accounts.sign_in("ben", PASSWORD)
    app = open_page("account/account.py", here.token)
    button = app.button(key=f"account.end.{other.principal.session_id}")
    accounts.sign_out(here.principal)
    button.click().run()
    assert accounts.principal_of(other.token) is not None
    assert [field.label for field in app.text_input] == ["User name or e-mail", "Password"]


def test_a_revoked_administrator_can_disable_nobody_by_a_callback(home: Path) -> None:
    """The same on the administrator's page, whose buttons are callbacks too."""
    accounts = services.accounts()
    ada, ben = person("ada"), person("ben")
    accounts.invite(ada.principal, "carl@example.org")
    invitation = accounts.invitations(ada.principal)[0]
    app = open_page("admin/users.py", ada.token)
    button = app.button(key=f"users.withdraw.{invitation.id}")
    spare = accounts.sign_in("ada", PASSWORD)
    accounts.sign_out(ada.principal)
    button.click().run()
    assert [i.id for i in accounts.invitations(spare.principal)] == [invitation.id]
    assert accounts.principal_of(ben.token) is not None


def test_the_language_of_a_tab_whose_session_ended_stays_in_the_tab(home: Path) -> None:
    """The sidebar's switch is a callback as well: it may not write to the account any more."""
    accounts = services.accounts()
    ben = person("ben")
    app = open_page("account/account.py", ben.token)
    accounts.sign_out(ben.principal)
    app.selectbox(key="layout.language").select("fr").run()
    spare = accounts.sign_in("ben", PASSWORD)
    assert spare.principal.language == "en"


def test_signing_out_ends_the_session_of_every_tab(home: Path) -> None:
    """The button of one tab makes the token worthless in the other."""
    ben = person("ben")
    first, second = (open_page("account/account.py", ben.token) for _ in range(2))
    first.button(key="layout.sign_out").click().run()
    assert services.accounts().principal_of(ben.token) is None
    second.run()
    assert [field.label for field in second.text_input] == ["User name or e-mail", "Password"]


def test_paths_of_pages_are_unique() -> None:
    """Two pages of one path would hide each other."""
    paths = [entry.path for entry in SITE]
    assert len(paths) == len(set(paths))
