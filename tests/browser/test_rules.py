"""The page of rules, tried in Chromium over runs of the real SDK."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .conftest import Service, until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.mark.slow
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
    page.get_by_text("As lines of monitor.toml").click()
    expect(page.locator("[data-testid=stCode]")).to_contain_text("enabled = false")
    expect(page.locator(".lm-plot[data-drawn=yes]")).to_have_count(2)
    assert "overfitting.enabled=false" in page.url
    page.reload()
    expect(page.get_by_role("link", name="browser/overfits")).to_be_visible()


def test_a_tried_change_is_saved_for_a_project_and_reset(service: Service, page: Page) -> None:
    page.goto(f"{service.dashboard}/rules?rule=overfitting&project=browser")
    page.get_by_text("Enabled", exact=True).click()
    expect(page.get_by_role("button", name="Save for project browser")).to_have_count(0)
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_text("No longer fires", exact=False)).to_be_visible()
    page.get_by_role("button", name="Save for project browser").click()

    expect(page.get_by_test_id("rule-saved")).to_contain_text("overfitting is saved for project browser")
    expect(page.get_by_test_id("rule-facts")).to_contain_text("off")
    expect(page.get_by_text("enabled: default → False").first).to_be_visible()
    assert "overfitting.enabled" not in page.url
    with service.reader() as api:
        assert not api.rules("browser").settings["overfitting"].enabled
        assert api.rules().settings["overfitting"].enabled
        (row,) = api.saved_rules("browser")
        assert row.settings == {"enabled": False}

    page.get_by_role("button", name="Reset to monitor.toml for project browser").click()
    expect(page.get_by_test_id("rule-saved")).to_contain_text("overfitting is reset for project browser")
    expect(page.get_by_test_id("rule-facts")).not_to_contain_text("off")
    with service.reader() as api:
        assert api.rules("browser").hash == api.rules().hash


@pytest.mark.slow
def test_another_rule_is_a_click_away_and_fits_a_phone(service: Service, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{service.dashboard}/rules")
    page.get_by_role("link", name="spike", exact=True).click()
    expect(page.get_by_test_id("example")).to_contain_text("fires: step 207")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
