"""Signing in with a token and out again, as a browser does it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from monitor.domain import Access, Caller
from monitor.server.app import open_store
from monitor.settings import Settings

from .conftest import addresses, spawn, stop

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The dashboard of a server that asks for a token, and a viewer's."""
    folder = tmp_path_factory.mktemp("closed")
    with open_store(Settings(dir=folder)) as store:
        _, token = store.create_token(
            "ann", Access.VIEWER, project=None, expires_ms=None, now_ms=1, by=Caller(name="test", access=Access.ADMIN)
        )
    process = spawn(folder, "up", "--json", "--port", "0", "--dashboard-port", "0")
    try:
        yield addresses(process)["dashboard"], token
    finally:
        stop(process)


def test_a_token_signs_in_and_the_button_signs_out(closed: tuple[str, str], page: Page) -> None:
    dashboard, token = closed
    page.goto(f"{dashboard}/settings")
    page.get_by_label("Token").fill("lm_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_test_id("refused")).to_contain_text("does not know this token")

    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_test_id("me")).to_contain_text("Signed in as ann")
    expect(page.get_by_test_id("no-admin")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
