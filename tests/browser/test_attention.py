"""The front page: alerts are answered on the card, where they are seen."""

from __future__ import annotations

import math

import pytest
from playwright.sync_api import Page, expect

import monitor

from .conftest import Service

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def ill(service: Service, name: str) -> monitor.Run:
    """A live run whose loss is NaN, which raises an alert."""
    run = service.run(name)
    for step in range(30):
        run.log({"train/loss": math.nan if step > 20 else 2.0 / (1 + step)}, step=step)
    assert run.flush()
    return run


def test_an_alert_is_acknowledged_with_one_click_where_it_is_seen(service: Service, page: Page) -> None:
    with ill(service, "to acknowledge") as run, service.reader() as api:
        page.goto(service.dashboard)
        card = page.locator(f"#attention-{run.id}")
        card.get_by_role("button", name="Acknowledge the alert").click()
        expect(card.get_by_test_id("answer")).to_have_text("Acknowledged by dashboard.")
        expect(card.get_by_role("button", name="Acknowledge the alert")).to_have_count(0)
        (alert,) = api.alerts("acknowledged", run=run.id).items
        assert alert.acked_by == "dashboard"
        card.get_by_role("link", name="Alert").click()
        expect(page.get_by_test_id("alerts")).to_contain_text("to acknowledge")


def test_an_alert_is_silenced_where_it_is_seen_and_a_refusal_is_said_there(service: Service, page: Page) -> None:
    with ill(service, "to silence") as run, service.reader() as api:
        page.goto(service.dashboard)
        card = page.locator(f"#attention-{run.id}")
        card.get_by_role("button", name="Silence the alert").click()
        card.get_by_label("For").fill("soon")
        card.get_by_role("button", name="Silence", exact=True).click()
        expect(card.get_by_test_id("not-done")).to_contain_text("write 30m, 2h or 3d")
        card.get_by_label("For").fill("3h")
        card.get_by_label("Reason").fill("known")
        card.get_by_label("Reason").press("Enter")
        expect(card.get_by_test_id("answer")).to_have_text("Its alert is silenced.")
        (silence,) = [each for each in api.silences() if each.run == run.id]
        assert (silence.reason, silence.by) == ("known", "dashboard")
        assert [alert.rule for alert in api.alerts("silenced", run=run.id).items] == [silence.rule]
        assert abs(silence.until_ms - silence.created_ms - 3 * 3_600_000) < 60_000
        api.unsilence(silence.id)
