"""A stranger becomes a member: sign up, stay signed in, sign out, and what a copied cookie is worth then."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from core.locales import translator
from tests.browser.conftest import Server

PASSWORD = "quiet lanterns over the estuary"
WAIT = 20_000


@pytest.fixture
def visit(browser: Browser, server: Server) -> Any:
    """A maker of browser contexts, each a person with cookies of their own."""
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(base_url=server.url, **{"locale": "en-GB", **options})
        context.set_default_timeout(WAIT)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


Visit = Callable[..., BrowserContext]
Translate = Callable[[str], str]


def sign_up(page: Page, name: str, _: Translate = str) -> None:
    """Open an account by the form, in the language of ``_``, and wait until the app greets its owner."""
    page.goto("/sign-up")
    page.get_by_label(_("Name"), exact=True).fill(name.title())
    page.get_by_label(_("E-mail"), exact=True).fill(f"{name}@example.org")
    page.get_by_label(_("User name"), exact=True).fill(name)
    page.get_by_label(_("Password"), exact=True).fill(PASSWORD)
    expect(page.get_by_text(_("Strength: {words}").split("{")[0])).to_be_visible(timeout=WAIT)
    page.get_by_label(_("The same password again")).fill(PASSWORD)
    page.get_by_text(_("I will only use photos and models that I have the right to use.")).click()
    page.get_by_role("button", name=_("Create the account")).click()
    signed_in(page, _)


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill the sign-in form that the page shows."""
    page.get_by_label("User name or e-mail").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_test_id("stFormSubmitButton").get_by_role("button").click()


def signed_in(page: Page, _: Translate = str) -> None:
    """Wait for the sidebar of a member."""
    expect(page.get_by_role("button", name=_("Sign out"))).to_be_visible(timeout=WAIT)


def signed_out(page: Page) -> None:
    """Wait for the sign-in form, or the welcome of a visitor."""
    expect(page.get_by_label("User name or e-mail").or_(
        page.get_by_role("link", name=re.compile("sign in"))).first).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)


def my_account(page: Page, _: Translate = str) -> None:
    """Wait for the account page, drawn once: while it is drawn anew its old heading may still stand there."""
    expect(page.get_by_role("heading", name=_("My account"))).to_have_count(1, timeout=WAIT)


def cookie(context: BrowserContext) -> dict[str, Any]:
    """Return the session cookie as the browser holds it."""
    return next(dict(c) for c in context.cookies() if c["name"] == "secateur")


def test_a_member_stays_signed_in_until_signing_out(visit: Visit, server: Server) -> None:
    """Reload, second tab and restart keep the session; signing out ends it on every tab and for any copy."""
    context = visit()
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    sign_up(page, "marguerite")
    kept = cookie(context)
    assert kept["httpOnly"]
    assert kept["sameSite"] == "Lax"
    page.reload()
    signed_in(page)
    second = context.new_page()
    second.goto("/account")
    my_account(second)
    server.restart()
    page.goto("/account")
    my_account(page)
    second.goto("/account")
    signed_in(second)
    page.get_by_role("button", name="Sign out").click()
    signed_out(page)
    assert not [c for c in context.cookies() if c["name"] == "secateur"]
    second.get_by_role("button", name="Save").click()
    signed_out(second)
    thief = visit()
    thief.add_cookies([{"name": "secateur", "value": kept["value"], "url": server.url}])
    stolen = thief.new_page()
    stolen.goto("/account")
    signed_out(stolen)
    expect(stolen.get_by_role("heading", name="My account")).to_have_count(0)
    assert problems == []


def test_a_cold_link_shows_sign_in_and_then_its_page(visit: Visit, server: Server) -> None:
    """The very first request of a fresh server is a deep link: nothing of the page shows before sign-in."""
    owner = visit()
    sign_up(owner.new_page(), "deeplink")
    server.restart()
    page = visit().new_page()
    page.goto("/account?x=1")
    expect(page.get_by_label("User name or e-mail")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("deeplink@example.org")).to_have_count(0)
    expect(page.get_by_role("tab")).to_have_count(0)
    sign_in(page, "deeplink", "not the right words at all")
    expect(page.get_by_text("do not belong together")).to_be_visible(timeout=WAIT)
    sign_in(page, "DeepLink")
    my_account(page)
    assert page.url.endswith("/account?x=1")


def test_a_revoked_session_can_do_nothing_more(visit: Visit) -> None:
    """An open tab whose session another browser ended cannot act by its buttons (callbacks run first)."""
    first, second = visit(), visit()
    here, there = first.new_page(), second.new_page()
    sign_up(here, "revoked")
    there.goto("/account")
    sign_in(there, "revoked")
    signed_in(there)
    here.goto("/account")
    here.get_by_role("tab", name="Sessions").click()
    here.get_by_role("button", name="End").click()
    expect(here.get_by_text("That session has ended.")).to_be_visible(timeout=WAIT)
    there.get_by_label("Name", exact=True).fill("Changed By A Ghost")
    there.get_by_role("button", name="Save").click()
    signed_out(there)
    here.reload()
    expect(here.get_by_label("Name", exact=True)).to_have_value("Revoked", timeout=WAIT)


def test_changing_the_password_ends_every_copied_cookie(visit: Visit, server: Server) -> None:
    """The browser that changes it goes on with a new session; a copy of the old cookie is dead."""
    context = visit()
    page = context.new_page()
    sign_up(page, "changer")
    before = cookie(context)["value"]
    page.goto("/account")
    page.get_by_role("tab", name="Password").click()
    page.get_by_label("Current password", exact=True).fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill("seven copper kettles asleep")
    expect(page.get_by_text("Strength:")).to_be_visible(timeout=WAIT)
    page.get_by_label("The same password again").fill("seven copper kettles asleep")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_text("The password is changed")).to_be_visible(timeout=WAIT)
    assert cookie(context)["value"] != before
    thief = visit()
    thief.add_cookies([{"name": "secateur", "value": before, "url": server.url}])
    stolen = thief.new_page()
    stolen.goto("/account")
    signed_out(stolen)


def test_a_french_browser_gets_french_and_keeps_a_choice(visit: Visit) -> None:
    """The language follows the browser and is the new account's; the switch changes both for good."""
    french, english = translator("fr"), translator("en")
    page = visit(locale="fr-FR").new_page()
    switch = page.get_by_test_id("stSidebar").get_by_role("combobox")
    sign_up(page, "bilingual", french)
    page.goto("/account")
    my_account(page, french)
    expect(switch).to_have_value("Français", timeout=WAIT)
    switch.click()
    page.get_by_role("option", name="English").click()
    my_account(page, english)
    expect(switch).to_have_value("English", timeout=WAIT)
    signed_in(page, english)
    other = visit(locale="fr-FR").new_page()
    other.goto("/account")
    expect(other.get_by_test_id("stSidebar").get_by_role("combobox")).to_have_value(
        "Français", timeout=WAIT)
    other.get_by_label(french("User name or e-mail")).fill("bilingual")
    other.get_by_label(french("Password"), exact=True).fill(PASSWORD)
    other.get_by_test_id("stFormSubmitButton").get_by_role("button").click()
    my_account(other)
    signed_in(other, english)


def test_no_outside_address_and_no_violation_that_matters(visit: Visit, server: Server) -> None:
    """Every request of the public pages stays on this server, and an outside ``to`` leads nowhere."""
    context = visit()
    page = context.new_page()
    outside: list[str] = []
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.on("request", lambda request: None if request.url.startswith(
        (server.url, server.url.replace("http", "ws"), "data:", "blob:")) else outside.append(request.url))
    page.goto("/")
    expect(page.get_by_test_id("stVegaLiteChart").last).to_be_visible(timeout=WAIT)
    page.goto("/sign-in?next=//evil.example")
    expect(page.get_by_label("User name or e-mail")).to_be_visible(timeout=WAIT)
    page.goto("/auth/ticket?ticket=forged&to=//evil.example")
    assert page.url.rstrip("/") == server.url
    assert outside == []
    assert [message for message in refused if "Content Security Policy" in message] == []
