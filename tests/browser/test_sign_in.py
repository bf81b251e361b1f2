"""Signing in with a token or through an OpenID Connect provider, and out again, as a browser does it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from monitor.domain import Access, Caller
from monitor.server.app import open_store
from monitor.settings import Settings
from tests.oidc import Oidc, provider

from .conftest import addresses, spawn, stop

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


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


@pytest.fixture
def oidc() -> Iterator[Oidc]:
    with provider() as found:
        yield found


@pytest.fixture
def guarded(oidc: Oidc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard of a server whose people sign in with the provider."""
    folder = tmp_path_factory.mktemp("guarded")
    roles = json.dumps(oidc.settings({"lab": "viewer", "root": "admin"}))
    process = spawn(folder, "up", "--json", "--port", "0", "--dashboard-port", "0", MONITOR_OIDC=roles)
    try:
        yield addresses(process)["dashboard"]
    finally:
        stop(process)


@pytest.mark.slow
def test_a_browser_signs_in_with_the_provider_and_out_again(guarded: str, oidc: Oidc, page: Page) -> None:
    oidc.claims = {"email": "ada@example.org", "groups": ["guests"]}
    page.goto(f"{guarded}/settings")
    page.get_by_text("Sign in with 127.0.0.1").click()
    expect(page.get_by_test_id("refused")).to_contain_text("oidc.roles")

    oidc.claims["groups"] = ["lab"]
    page.get_by_text("Sign in with 127.0.0.1").click()
    expect(page.get_by_test_id("me")).to_contain_text("Signed in as ada@example.org")
    expect(page.get_by_test_id("no-admin")).to_be_visible()
    (cookie,) = [each for each in page.context.cookies() if "session" in each["name"]]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert "code=" not in page.url and "token" not in page.url

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    page.context.add_cookies([cookie])  # somebody kept it: the session has ended for it too
    page.goto(f"{guarded}/settings")
    expect(page.get_by_label("Token")).to_be_visible()
