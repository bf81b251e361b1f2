"""The page of rules, tried in Chromium over runs of the real SDK."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .conftest import Service, until

pytestmark = pytest.mark.browser


def test_a_change_of_a_rule_is_tried_against_history_and_stands_in_the_address(service: Service, page: Page) -> None:
    page.goto(f"{service.dashboard}/rules?rule=overfitting")
    expect(page.get_by_test_id("meaning")).to_contain_text("alidation")
    expect(page.get_by_test_id("example")).to_contain_text("fires: step 200")
    until(page, "document.querySelector('.lm-plot[data-drawn=yes] .xtick') !== null")

    page.get_by_text("Enabled", exact=True).click()
    page.get_by_role("button", name="Try it").click()

    expect(page.get_by_text("No longer fires", exact=False)).to_be_visible()
    expect(page.get_by_role("link", name="browser/overfits")).to_be_visible()
    expect(page.get_by_test_id("example")).to_contain_text("as tried: silent")
    expect(page.locator("[data-testid=stCode]")).to_contain_text("enabled = false")
    expect(page.locator(".lm-plot[data-drawn=yes]")).to_have_count(2)
    assert "overfitting.enabled=false" in page.url
    page.reload()
    expect(page.get_by_role("link", name="browser/overfits")).to_be_visible()


def test_another_rule_is_a_click_away_and_fits_a_phone(service: Service, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{service.dashboard}/rules")
    page.get_by_role("link", name="spike", exact=True).click()
    expect(page.get_by_test_id("example")).to_contain_text("fires: step 207")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
