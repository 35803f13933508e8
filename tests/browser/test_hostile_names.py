"""Names that try to be links, images and scripts, on the pages that show names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import ROOT, Server

WAIT = 20_000
HOSTILE = ("![x](https://canary.example/a.png) [l](javascript:alert(1)) <img src=https://canary.example/b.png "
           "onerror=alert(1)> http://canary.example www.canary.example :red[r] $x$")
# Sign-up refuses such names; a row written by other means has to be harmless as well.
_WRITE = """
import json, sys
from sqlalchemy import text
from core.accounts import Accounts
from core.database import connect, migrate, transaction
from core.settings import settings
engine = connect(settings().database_url); migrate(engine)
accounts = Accounts(engine, settings())
signed_in = accounts.sign_up("mallory", "M", "mallory@example.org", "quiet lanterns over the estuary",
                             user_agent=sys.argv[1])
accounts.sign_in("mallory", "quiet lanterns over the estuary", user_agent=sys.argv[1])
with transaction(engine) as session:
    session.execute(text("update users set name = :name"), {"name": sys.argv[1]})
    session.execute(text("update sessions set address = :name"), {"name": sys.argv[1][:64]})
print(json.dumps(signed_in.token))
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server whose only account, an administrator, has a hostile name; and the account's token."""
    home = tmp_path_factory.mktemp("home")
    (home / "no-models").mkdir()
    settings = {"SECATEUR_MODELS_FOLDER": str(home / "no-models"),
                "SECATEUR_SIGN_UP__ADMINS": '["mallory@example.org"]'}
    done = subprocess.run([sys.executable, "-c", _WRITE, HOSTILE], cwd=ROOT, check=True, capture_output=True,
                          env={**os.environ, "SECATEUR_HOME": str(home), **settings}, timeout=60)
    running = Server(home, **settings)
    running.start()
    yield running, json.loads(done.stdout)
    running.stop()


@pytest.mark.parametrize(("path", "tab"), [("/account", 0), ("/account", 2), ("/users", 0)])
def test_a_hostile_name_is_only_text(
    browser: Browser, hostile: tuple[Server, str], path: str, tab: int,
) -> None:
    """No request leaves for the canary, nothing becomes a link or an image, no script runs, no page error."""
    server, token = hostile
    context = browser.new_context(base_url=server.url, locale="en-GB")
    context.add_cookies([{"name": "secateur", "value": token, "url": server.url}])
    page = context.new_page()
    hits: list[str] = []
    problems: list[str] = []

    def caught(route: Route) -> None:
        hits.append(route.request.url)
        route.abort()

    page.route("**://*canary.example/**", caught)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    page.goto(path)
    page.get_by_role("tab").nth(tab).click(timeout=WAIT)
    expect(page.get_by_text("Signed in as")).to_contain_text("canary.example", timeout=WAIT)
    if path == "/users":
        expect(page.get_by_test_id("stDataFrame")).to_be_visible(timeout=WAIT)
    assert page.locator("a[href*='canary'], a[href^='javascript'], img[src*='canary']").count() == 0
    assert page.locator("[data-testid=stSidebar] .katex").count() == 0
    assert hits == []
    assert problems == []
    context.close()
