"""From an account to a link that was taken back: a person compresses a model and shows somebody what came of it.

With ``SECATEUR_SCREENSHOTS`` set to a folder every step leaves a picture there, light and dark.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.conftest import Server
from tests.browser.test_accounts_journey import sign_up
from tests.prepared import ROOT, link_models, models

__all__ = ["models"]
WAIT = 40_000
RUNNING = 420_000
CHECKBOX = (40, 35)
FEW_CLASSES = 40
Shot = Callable[[Page, str], None]


@pytest.fixture
def lab(tmp_path: Path, models: Path) -> Iterator[Server]:
    """A server on a fresh data folder with prepared models and workers of its own."""
    running = Server(link_models(models, tmp_path / "home"), SECATEUR_JOBS__EXAMPLE="false")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def visit(browser: Browser, lab: Server) -> Iterator[Callable[[], BrowserContext]]:
    """A maker of browser windows that share nothing."""
    contexts: list[BrowserContext] = []

    def make() -> BrowserContext:
        context = browser.new_context(base_url=lab.url, locale="en-GB", viewport={"width": 1280, "height": 900})
        context.set_default_timeout(WAIT)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def shot(request: pytest.FixtureRequest) -> Shot:
    """Take a picture of the whole page in both themes, where pictures are wanted."""
    folder = os.environ.get("SECATEUR_SCREENSHOTS")

    def take(page: Page, name: str) -> None:
        if not folder:
            return
        seen = page.viewport_size or {"width": 1280, "height": 900}
        height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
        page.set_viewport_size({"width": seen["width"], "height": max(900, min(4000, height + 80))})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.wait_for_timeout(1200)
            page.screenshot(path=Path(folder) / f"{request.node.name}-{name}-{theme}.png")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(seen)

    return take


def settled(page: Page) -> None:
    """Wait until the server has drawn what was asked for last."""
    page.wait_for_timeout(300)
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", re.compile("^notRunning$"), timeout=WAIT)


def drag(page: Page, slider: Locator, percent: int) -> None:
    """Drag a slider of per cent with the mouse, and correct the last steps with the keyboard."""
    expect(slider).to_be_visible(timeout=WAIT)
    thumb = slider.get_by_role("slider")
    track, at = slider.bounding_box(), thumb.bounding_box()
    assert track is not None
    assert at is not None
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] * percent / 100, at["y"] + at["height"] / 2, steps=8)
    page.mouse.up()
    for _ in range(12):
        away = round(100 * float(thumb.input_value())) - percent
        if not away:
            break
        thumb.press("ArrowLeft" if away > 0 else "ArrowRight")
    expect(thumb).to_have_value(f"{percent / 100:g}")
    settled(page)


def metric(page: Page, label: str) -> str:
    """Return the figure under a label."""
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue").inner_text()


def run(page: Page) -> None:
    """Queue the recipe on the screen."""
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("The run is queued.")).to_be_visible(timeout=WAIT)
    settled(page)


def tick(page: Page, rows: int) -> None:
    """Tick the first rows of the table of runs, which is drawn on a canvas."""
    for row in range(rows):
        box = page.get_by_test_id("stDataFrame").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + CHECKBOX[0], box["y"] + CHECKBOX[1] * (row + 1.5))


def wait_for_runs(page: Page, timeout: float) -> None:
    """Wait until nothing is under way any more."""
    expect(page.get_by_text("Under way")).to_have_count(0, timeout=timeout)
    settled(page)


def open_measured(page: Page, points: Locator) -> None:
    """Click a point that was measured, which leads to its run."""
    points.and_(page.locator("path:not([fill=transparent])")).first.click()
    page.wait_for_url("**/run?run=*")
    expect(page.get_by_text("Will it run faster?")).to_be_visible(timeout=WAIT)


def share(page: Page) -> str:
    """Make a link and return it."""
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_test_id("stCode").filter(has_text="share=")
    expect(link).to_be_visible(timeout=WAIT)
    return link.inner_text().strip()


@pytest.mark.timeout(900)
def test_from_sign_up_to_a_revoked_link(visit, shot) -> None:
    """Two runs on the digits, compared, reported, shared and taken back."""
    page = visit().new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    sign_up(page, "vesper")
    page.goto("/lab")
    sliders = page.get_by_test_id("stSlider")
    expect(sliders.first).to_contain_text("Sparsity", timeout=WAIT)
    expect(page.get_by_text("not measured on these images yet")).to_be_visible()
    settled(page)
    shot(page, "1-empty-lab")
    page.get_by_role("button", name="close").first.click()  # pruning without repair leaves flips to look at
    settled(page)
    page.get_by_role("button", name="Add a step").click()
    page.get_by_role("button", name="Magnitude pruning").click()
    settled(page)
    page.keyboard.press("Escape")

    expected = []
    for percent in (50, 80):
        drag(page, sliders.first, percent)
        expected.append(metric(page, "Packed file (gzip)"))
        run(page)
    assert expected[0] != expected[1]
    progress = page.get_by_test_id("stProgress")
    expect(progress).to_have_count(2, timeout=WAIT)
    expect(progress.filter(has_text="%").first).to_be_visible(timeout=WAIT)
    shot(page, "2-progress")
    page.reload()
    expect(page.get_by_text("Under way")).to_be_visible(timeout=WAIT)
    wait_for_runs(page, RUNNING)
    expect(page.get_by_text("right (")).to_be_visible(timeout=WAIT)
    page.get_by_text("Show as a table").last.click()
    settled(page)
    shot(page, "3-table")
    page.get_by_text("Show as a table").last.click()
    settled(page)
    points = page.get_by_test_id("stVegaLiteChart").last.locator("g.mark-symbol.role-mark path")
    expect(points).to_have_count(3)  # two measured, and the estimate
    shot(page, "4-measured")

    open_measured(page, points)
    settled(page)
    shot(page, "5-run")
    for number, section in enumerate(("Accuracy", "Layers", "Files"), 6):
        page.get_by_test_id("stButtonGroup").get_by_text(section, exact=True).click()
        settled(page)
        shot(page, f"{number}-{section.lower()}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Report").click()
    report = Path(download.value.path()).read_text("utf-8")
    assert "<svg" in report
    page.get_by_test_id("stButtonGroup").get_by_text("Changed images").click()
    settled(page)
    expect(page.get_by_alt_text("Test image").first).to_be_visible(timeout=WAIT)
    page.get_by_text("Where they looked").first.click()
    expect(page.get_by_alt_text("Heat map over the photo").nth(1)).to_be_visible(timeout=WAIT)
    shot(page, "9-flips")

    page.goto("/experiments")
    expect(page.get_by_text("Runs 1 to 2 of 2")).to_be_visible(timeout=WAIT)
    settled(page)
    shot(page, "a-listed")
    tick(page, 2)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Runs side by side")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("Which differences are real")).to_be_visible(timeout=WAIT)
    settled(page)
    shot(page, "b-compared")
    page.get_by_test_id("stButtonGroup").get_by_text("Charts").click()
    settled(page)
    shot(page, "c-charts")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Report (HTML)").click()
    assert "<svg" in Path(download.value.path()).read_text("utf-8")
    page.keyboard.press("Escape")
    link = share(page)
    shot(page, "d-shared")

    stranger = visit().new_page()
    stranger.goto(link)
    expect(stranger.get_by_text("Which differences are real")).to_be_visible(timeout=WAIT)
    expect(stranger.get_by_role("button", name="Share")).to_have_count(0)
    settled(stranger)
    shot(stranger, "e-stranger")
    page.get_by_role("button", name=re.compile("Revoke the link")).click()
    expect(page.get_by_role("button", name=re.compile("Revoke the link"))).to_have_count(0, timeout=WAIT)
    stranger.reload()
    expect(stranger.get_by_text("leads nowhere")).to_be_visible(timeout=WAIT)
    settled(stranger)
    shot(stranger, "f-revoked")
    assert problems == []


def class_folders(each: int = 4) -> bytes:
    """Return a zip of folders named by ImageNet's classes with labelled photos, small ones."""
    folder = Path(os.environ.get("SECATEUR_TEST_DATA") or ROOT.parent / "shared" / "data")
    source = folder / "imagenet-sample-dev.zip"
    if not source.is_file():
        pytest.skip(f"no labelled photos in {folder}; set SECATEUR_TEST_DATA")
    buffer, taken = io.BytesIO(), dict[str, int]()
    with zipfile.ZipFile(source) as whole, zipfile.ZipFile(buffer, "w") as made:
        for name in sorted(n for n in whole.namelist() if n.lower().endswith((".jpg", ".jpeg", ".png"))):
            label = Path(name).parent.name
            if taken.setdefault(label, 0) < each and len(taken) <= FEW_CLASSES:
                taken[label] += 1
                picture = io.BytesIO()
                with Image.open(io.BytesIO(whole.read(name))) as photo:
                    photo.convert("RGB").save(picture, "JPEG", quality=90)
                made.writestr(f"{label}/{Path(name).stem}.jpg", picture.getvalue())
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_mobile_network_without_labels_on_own_photos(visit, shot) -> None:
    """The large model, a zip of class folders, and the preset that needs no labels, from upload to a revoked link."""
    photos = class_folders()
    page = visit().new_page()
    sign_up(page, "orlando")
    page.goto("/lab?model=efficientnet-lite0")
    sliders = page.get_by_test_id("stSlider")
    expect(sliders.first).to_contain_text("Sparsity", timeout=WAIT)
    settled(page)
    page.get_by_role("button", name="Own images").click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "holiday.zip", "mimeType": "application/zip", "buffer": photos})
    expect(page.get_by_text("The images are stored and checked.")).to_be_visible(timeout=WAIT)
    page.keyboard.press("Escape")
    expect(page.get_by_role("combobox", name="Images")).to_have_value(re.compile("^holiday.zip"), timeout=WAIT)
    page.get_by_role("button", name="Presets").click()
    page.get_by_role("button", name="Without labels").click()
    settled(page)
    page.keyboard.press("Escape")
    shot(page, "1-preset")
    before = metric(page, "Packed file (gzip)")
    drag(page, sliders.first, 30)
    assert metric(page, "Packed file (gzip)") != before
    run(page)
    shot(page, "2-progress")
    wait_for_runs(page, 3 * RUNNING)
    expect(page.get_by_text("right (")).to_be_visible(timeout=WAIT)
    points = page.get_by_test_id("stVegaLiteChart").last.locator("g.mark-symbol.role-mark path")
    expect(points).to_have_count(2)
    shot(page, "3-measured")
    open_measured(page, points)
    for number, section in enumerate(("Overview", "Accuracy", "Layers", "Changed images", "Files"), 4):
        page.get_by_test_id("stButtonGroup").get_by_text(section, exact=True).click()
        settled(page)
        shot(page, f"{number}-{section.lower().replace(' ', '-')}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Report").click()
    assert "<svg" in Path(download.value.path()).read_text("utf-8")
    link = share(page)
    stranger = visit().new_page()
    stranger.goto(link)
    expect(stranger.get_by_text("Will it run faster?")).to_be_visible(timeout=WAIT)
    stranger.get_by_test_id("stButtonGroup").get_by_text("Changed images").click()
    settled(stranger)
    shot(stranger, "9-stranger")
    page.get_by_role("button", name=re.compile("Revoke the link")).click()
    expect(page.get_by_role("button", name=re.compile("Revoke the link"))).to_have_count(0, timeout=WAIT)
    stranger.reload()
    expect(stranger.get_by_text("leads nowhere")).to_be_visible(timeout=WAIT)
