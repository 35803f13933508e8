"""Where a host runs ``app.py`` as a plain script, the package's cookie keeps people signed in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Server
from tests.browser.test_accounts_journey import WAIT, my_account, sign_in, sign_up, signed_in, signed_out


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without our routes and headers."""
    home = tmp_path_factory.mktemp("home")
    (home / "no-models").mkdir()
    running = Server(home, plain=True, SECATEUR_MODELS_FOLDER=str(home / "no-models"))
    running.start()
    yield running
    running.stop()


def test_the_cookie_of_the_component_keeps_and_loses_a_session(browser: Browser, plain: Server) -> None:
    """Sign up, reload, restart, sign out, sign in by the form, and a copied cookie is dead in the end."""
    context = browser.new_context(base_url=plain.url, locale="en-GB")
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_role("button", name="Create an account")).to_be_visible(timeout=WAIT)
    sign_up(page, "plainly")
    page.reload()
    signed_in(page)
    plain.restart()
    # A deep link as the very first request would meet Streamlit's own look into pages/ here.
    page.goto("/")
    signed_in(page)
    page.goto("/account")
    signed_in(page)
    page.get_by_role("button", name="Sign out").click()
    signed_out(page)
    page.goto("/account")
    expect(page.get_by_label("User name or e-mail")).to_be_visible(timeout=WAIT)
    sign_in(page, "plainly")
    my_account(page)
    page.wait_for_function("document.cookie.includes('secateur=')", timeout=WAIT)
    page.reload()
    my_account(page)
    kept = next(dict(c) for c in context.cookies() if c["name"] == "secateur")
    page.get_by_role("button", name="Sign out").click()
    signed_out(page)
    context.add_cookies([{"name": "secateur", "value": str(kept["value"]), "url": plain.url}])
    page.goto("/account")
    signed_out(page)
    context.close()
