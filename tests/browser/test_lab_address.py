"""A recipe that is being edited, in a real browser: reload, back and a link keep it, from the first edit on."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.test_accounts_journey import sign_up
from tests.browser.test_lab_journey import WAIT, drag, lab, visit
from tests.prepared import models

__all__ = ["lab", "models", "visit"]


def sparsity(page: Page, value: str) -> None:
    """Wait until the first slider shows a value."""
    expect(page.get_by_test_id("stSlider").first.get_by_role("slider")).to_have_value(value, timeout=WAIT)


def test_an_edited_recipe_survives_reload_back_and_being_sent(visit: Callable[[], BrowserContext]) -> None:
    page = visit().new_page()
    sign_up(page, "heron")
    page.goto("/lab")
    page.wait_for_url("**/lab?model=digits&data=digits")
    slider = page.get_by_test_id("stSlider").first
    usual = slider.get_by_role("slider").input_value()
    drag(page, slider, 70)
    page.wait_for_url("**&recipe=*")
    page.reload()
    sparsity(page, "0.7")
    drag(page, slider, 80)
    edited = page.url
    page.go_back()
    sparsity(page, "0.7")
    page.go_forward()
    sparsity(page, "0.8")
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Experiments").click()
    page.wait_for_url("**/experiments")
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Lab").click()
    sparsity(page, "0.8")
    page.wait_for_url(edited)
    page.go_back()
    page.wait_for_url(edited)
    page.go_back()
    page.wait_for_url("**/experiments")

    friend = visit().new_page()
    sign_up(friend, "finch")
    friend.goto(edited)
    sparsity(friend, "0.8")
    friend.goto("/lab?recipe=abc")
    expect(friend.get_by_text("The recipe in the address is damaged.")).to_be_visible(timeout=WAIT)
    sparsity(friend, usual)
