"""A search in a real browser: begun in words, still there after a reload and on another page, stopped with what it has.

With ``SECATEUR_SCREENSHOTS`` set to a folder the steps leave pictures there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.test_accounts_journey import sign_up
from tests.browser.test_lab_journey import lab, visit
from tests.prepared import models

__all__ = ["lab", "models", "visit"]
pytestmark = pytest.mark.browser
WAIT = 60_000


def picture(page: Page, name: str) -> None:
    folder = os.environ.get("SECATEUR_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"search-{name}.png"), full_page=True)


def test_a_search_survives_a_reload_and_stops(visit: Callable[[], BrowserContext]) -> None:
    page = visit().new_page()
    page.set_default_timeout(WAIT)
    sign_up(page, "heron")
    page.goto("/study?model=digits&data=digits")
    expect(page.get_by_text("You have not searched yet")).to_be_visible(timeout=WAIT)
    page.get_by_role("textbox", name="What do you want?").fill("lose at most 1 point, be smallest")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Understood: at most 1 point lost")).to_be_visible(timeout=WAIT)
    picture(page, "understood")
    page.get_by_test_id("stMain").get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_text("Stop and keep what was found")).to_be_visible(timeout=WAIT)
    page.reload()
    expect(page.get_by_text("Stop and keep what was found")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("of 10 minutes")).to_be_visible(timeout=WAIT)
    picture(page, "running")
    page.get_by_text("Stop and keep what was found").click()
    expect(page.get_by_text("Go on searching")).to_be_visible(timeout=WAIT)
    picture(page, "stopped")
