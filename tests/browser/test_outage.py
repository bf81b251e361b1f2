"""The dashboard while its server is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import Service, addresses, spawn, stop

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Service]:
    """A server without a run, and a dashboard that was started on its own."""
    server = spawn(tmp_path, "up", "--json", "--no-dashboard", "--port", "0")
    api = addresses(server)["api"]
    dashboard = spawn(tmp_path, "dashboard", "--json", "--port", "0", "--server", api)
    found = Service(api, "", tmp_path, [dashboard, server])
    try:
        found.dashboard = addresses(dashboard)["dashboard"]
        yield found
    finally:
        found.end()


@pytest.mark.slow
def test_an_empty_store_welcomes_and_an_outage_is_told_calmly_and_passes(apart: Service, page: Page) -> None:
    page.goto(apart.dashboard)
    expect(page.get_by_test_id("welcome")).to_contain_text("No runs yet")
    with apart.run("survivor") as run:
        run.log({"train/loss": 1.0}, step=7)
        page.goto(f"{apart.dashboard}/runs")
        expect(page.get_by_test_id("run-row")).to_contain_text("survivor")
        page.get_by_role("link", name="survivor").click()
        expect(page.get_by_test_id("last-step")).to_have_text("step 7")

        stop(apart.processes.pop())

        expect(page.get_by_test_id("unreachable").first).to_contain_text("does not answer")
        expect(page.get_by_test_id("last-step")).to_have_text("step 7")
        run.log({"train/loss": 0.9}, step=8)
        again = spawn(apart.folder, "up", "--json", "--no-dashboard", "--port", apart.api.rsplit(":", 1)[1])
        apart.processes.append(again)
        addresses(again)

        expect(page.get_by_test_id("unreachable")).to_have_count(0)
        expect(page.get_by_test_id("last-step")).to_have_text("step 8")


@pytest.mark.slow
def test_a_page_that_is_not_drawn_anew_by_itself_says_that_the_server_is_away_and_comes_back(
    apart: Service, page: Page
) -> None:
    stop(apart.processes.pop())
    for path in ("settings", "rules"):
        page.goto(f"{apart.dashboard}/{path}")
        expect(page.get_by_test_id("unreachable")).to_contain_text("does not answer")
        expect(page.get_by_text("asks for no token")).to_have_count(0)
    page.goto(f"{apart.dashboard}/settings")
    expect(page.get_by_test_id("unreachable")).to_be_visible()
    again = spawn(apart.folder, "up", "--json", "--no-dashboard", "--port", apart.api.rsplit(":", 1)[1])
    apart.processes.append(again)
    addresses(again)
    expect(page.get_by_test_id("unreachable")).to_have_count(0)
    expect(page.get_by_text("asks for no token")).to_be_visible()
