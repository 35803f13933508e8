"""Ticking runs and comparing them at once: no press is lost, however soon it follows the last tick."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.accounts import Accounts
from core.database import connect, migrate
from core.settings import read_settings
from tests.browser.conftest import Server
from tests.browser.test_accounts_journey import PASSWORD, sign_in
from tests.finished import Made, made, store
from tests.prepared import link_models, models

__all__ = ["made", "models"]
WAIT = 40_000
ROW, LEFT = 35, 40
TIMES = 5


@pytest.fixture
def site(
    tmp_path: Path, models: Path, made: tuple[Made, Made], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Server, list[str]]]:
    """A server and the ids of three finished runs of its only member, the newest first."""
    home = link_models(models, tmp_path / "home")
    monkeypatch.setenv("SECATEUR_HOME", str(home))
    settings = read_settings()
    engine = connect(settings.database_url)
    migrate(engine)
    who = Accounts(engine, settings).sign_up("wren", "Wren", "wren@example.org", PASSWORD)
    ids = store(engine, settings, who.principal.user_id, [made[0], made[1], made[0]])
    running = Server(home, SECATEUR_JOBS__EXAMPLE="false")
    running.start()
    yield running, ids[::-1]
    running.stop()


@pytest.fixture
def page(browser: Browser, site: tuple[Server, list[str]]) -> Iterator[Page]:
    """The list of runs in a browser."""
    context = browser.new_context(base_url=site[0].url, locale="en-GB", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.goto("/experiments")
    sign_in(page, "wren")
    listed(page)
    yield page
    context.close()


def listed(page: Page) -> None:
    """Wait for the list with its table drawn."""
    expect(page.get_by_text("Runs 1 to 3 of 3")).to_be_visible(timeout=WAIT)
    expect(page.get_by_test_id("stDataFrame").locator("canvas").first).to_be_visible(timeout=WAIT)
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", re.compile("^notRunning$"), timeout=WAIT)
    page.wait_for_timeout(500)


def tick(page: Page, *rows: int) -> None:
    """Click the boxes of rows one after the other, and wait for nothing."""
    box = page.get_by_test_id("stDataFrame").bounding_box()
    assert box is not None
    for row in rows:
        page.mouse.click(box["x"] + LEFT, box["y"] + ROW * (row + 1.5))


@pytest.mark.parametrize("pause", [0, 60, 140, 160, 250, 400])
def test_compare_pressed_right_after_the_ticks_always_opens_the_ticked_runs(page, site, pause) -> None:
    """Two rows or all three, at once or a moment later, in turn; the back button leads to the list each time."""
    ids = site[1]
    compare = page.get_by_role("button", name="Compare")
    where = compare.bounding_box()
    for turn in range(TIMES):
        rows = (0, 1, 2) if turn % 2 else (1, 2)
        tick(page, *rows)
        page.wait_for_timeout(pause)
        assert compare.bounding_box() == where
        compare.click()
        expect(page.get_by_role("heading", name="Runs side by side")).to_be_visible(timeout=WAIT)
        wanted = {ids[row] for row in rows}
        expect(page.get_by_text("Which differences are real")).to_be_visible(timeout=WAIT)
        page.wait_for_timeout(500)  # nothing that comes late takes the comparison away
        assert set(compared(page.url)) == wanted
        expect(page.get_by_role("heading", name="Runs side by side")).to_be_visible()
        if not turn:
            page.reload()
            expect(page.get_by_text("Which differences are real")).to_be_visible(timeout=WAIT)
            assert set(compared(page.url)) == wanted
        page.go_back()
        listed(page)
        if turn:
            expect(page.get_by_text(f"{len(rows)} chosen")).to_be_visible(timeout=WAIT)
            page.get_by_role("button", name="Choose none").click()
        expect(page.get_by_text("Tick 2 to 8 finished runs to compare them.")).to_be_visible(timeout=WAIT)
        listed(page)


def compared(address: str) -> list[str]:
    """Return the ids that an address compares."""
    found = re.search("[?&]compare=([^&]*)", address)
    return re.split("%2C|,", found[1]) if found else []


def test_one_ticked_run_is_told_how_many_it_takes(page) -> None:
    """And its second tick alone opens nothing."""
    for _ in range(TIMES):
        tick(page, 0)
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_test_id("stToast")).to_contain_text("Tick 2 to 8 finished runs.", timeout=WAIT)
        expect(page.get_by_text("1 chosen")).to_be_visible(timeout=WAIT)
        page.get_by_test_id("stToast").get_by_role("button", name="Close").click()
        page.get_by_role("button", name="Choose none").click()
        expect(page.get_by_text("Tick 2 to 8 finished runs to compare them.")).to_be_visible(timeout=WAIT)
        listed(page)
    tick(page, 0)
    tick(page, 1)
    expect(page.get_by_text("2 chosen")).to_be_visible(timeout=WAIT)
    assert compared(page.url) == []
