"""A photo, dropped on the page, is named; in a browser, on a real server with the real model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.accounts import Accounts
from core.database import connect, migrate
from core.settings import settings
from tests.browser.conftest import Server, idle
from tests.pages.studio import COFFEE, PASSPHRASE, SKIMAGE
from tests.prepared import link_models, models

__all__ = ["models"]
WAIT = 30_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server with prepared models, and the session token of a reader of each language."""
    home = link_models(models, tmp_path_factory.mktemp("classify") / "home")
    url = f"sqlite:///{home / 'secateur.db'}"
    engine = connect(url)
    migrate(engine)
    accounts = Accounts(engine, settings().model_copy(update={"home": home, "database_url": url}))
    tokens = {
        language: accounts.sign_up(f"heron{language}", "Heron", f"heron{language}@example.org", PASSPHRASE,
                                   language=language).token
        for language in ("en", "fr")
    }
    engine.dispose()
    running = Server(home)
    running.start()
    yield running, tokens
    running.stop()


@pytest.fixture(params=["en"])
def page(request: pytest.FixtureRequest, browser: Browser,
         served: tuple[Server, dict[str, str]]) -> Iterator[Page]:
    """The classify page, as a person who is signed in sees it."""
    server, tokens = served
    context = browser.new_context(base_url=server.url, locale="en-GB")
    context.add_cookies([{"name": "secateur", "value": tokens[request.param], "url": server.url}])
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.goto("/classify")
    expect(page.get_by_test_id("stFileUploader")).to_be_visible(timeout=WAIT)
    yield page
    context.close()


def drop(page: Page, *files: tuple[str, bytes]) -> None:
    """Let files fall on the page's drop zone, as from a folder of the desktop."""
    transfer = page.evaluate_handle(
        """files => { const all = new DataTransfer();
            for (const [name, bytes] of files)
                all.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
            return all; }""", [[name, list(data)] for name, data in files])
    page.get_by_test_id("stFileUploaderDropzone").dispatch_event("drop", {"dataTransfer": transfer})


def choose(page: Page, option: str) -> None:
    """Pick one of the pills or segments by its text."""
    page.get_by_test_id("stButtonGroup").get_by_text(option).click()


def test_a_dropped_photo_is_named_with_a_chart_its_times_and_where_the_model_looked(page):
    drop(page, ("cup.png", COFFEE))
    expect(page.get_by_role("heading", name="Almost certainly: espresso")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("medians of a few runs")).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first).to_be_visible()
    page.get_by_text("Show where the model looked").click()
    expect(page.get_by_alt_text("Heat map over the photo")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("parts was hidden in turn")).to_be_visible()


def test_many_photos_come_with_a_table_to_download_and_a_bad_one_hurts_no_other(page):
    drop(page, ("cup.png", COFFEE), ("=1+1.png", b"no photo"), ("cat.png", (SKIMAGE / "data/chelsea.png").read_bytes()))
    expect(page.get_by_role("heading", name="Almost certainly: espresso")).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("heading", name="Not sure. Best guess")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("This is not a photo that can be read").first).to_be_visible()
    idle(page)  # a run that is still drawing replaces the buttons under the pointer, and what they would fetch
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    table = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert [line.split(",")[0] for line in table] == ["file", "cup.png", "'=1+1.png", "cat.png"]
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as JSON").click()
    answers = json.loads(Path(download.value.path()).read_text("utf-8"))
    assert answers[0]["predictions"][0]["label"] == "espresso"
    assert "error" in answers[1]


def test_a_sample_photo_and_the_compact_form_are_one_click_each_and_a_link_keeps_the_form(page):
    choose(page, "Cup of coffee")
    expect(page.get_by_role("heading", name="espresso")).to_be_visible(timeout=WAIT)
    choose(page, "Compact (int8)")
    expect(page.get_by_text("by EfficientNet-Lite0, Compact (int8)")).to_be_visible(timeout=WAIT)
    page.wait_for_url("**/classify?form=int8")
    page.reload()
    expect(page.get_by_test_id("stFileUploader")).to_be_visible(timeout=WAIT)
    choose(page, "Cup of coffee")
    expect(page.get_by_text("by EfficientNet-Lite0, Compact (int8)")).to_be_visible(timeout=WAIT)


def test_the_library_leads_to_the_page_with_that_model(page):
    page.goto("/models")
    page.get_by_test_id("stMain").get_by_role("link", name="Use it").nth(1).click()
    page.wait_for_url("**/classify?model=digits")
    expect(page.get_by_text("Compact (int8) · 84")).to_be_visible(timeout=WAIT)


@pytest.mark.parametrize("page", ["fr"], indirect=True)
def test_an_account_in_french_reads_figures_as_the_french_do(page):
    drop(page, ("cup.png", COFFEE))
    expect(page.get_by_role("heading", name=re.compile(r"expresso \(95\s%\)"))).to_be_visible(timeout=WAIT)
