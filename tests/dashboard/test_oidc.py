"""Signing in to the dashboard with a real OpenID Connect provider, there and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboard import sessions, signing
from monitor.api import create_api
from monitor.ingest.engines import Engines
from monitor.settings import load
from monitor.store import Store
from tests.oidc import Oidc, provider

from ..api.conftest import served
from .conftest import logged
from .test_sign_in import House


@pytest.fixture
def oidc() -> Iterator[Oidc]:
    with provider() as found:
        yield found


@pytest.fixture
def house(sqlite_url: str, oidc: Oidc, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    st.cache_resource.clear()
    st.cache_data.clear()
    settings = load(dir=str(Path(sqlite_url.removeprefix("sqlite:///")).parent))
    settings = settings.model_copy(update={"oidc": oidc.settings({"a-team": "viewer:a", "root": "admin"})})
    with Store.open(sqlite_url) as store, served(create_api(store, Engines(), settings)) as address:
        monkeypatch.setenv("MONITOR_SERVER_URL", address)
        for project in ("a", "b"):
            logged(store, f"run of {project}", [2.0, 1.0], project=project)
        app = Starlette(routes=[*sessions.routes(), *signing.routes()])
        with TestClient(app, base_url="http://dashboard", follow_redirects=False) as browser:
            yield House(store, browser, monkeypatch)
    st.cache_resource.clear()
    st.cache_data.clear()


def there(house: House, place: str = "") -> str:
    """Follow the link to the provider, and let it ask; where it sends the browser back to."""
    asked = house.browser.get("/signin/provider", params={"place": place})
    assert asked.status_code == 303
    back = httpx.get(asked.headers["location"])
    assert back.status_code == 302
    return back.headers["location"]


def come_back(house: House, to: str) -> str:
    """Open what the provider leads back to; where that leads to."""
    answer = house.browser.get(to)
    assert answer.status_code == 303
    cookie = house.browser.cookies.get(sessions.COOKIE)
    house.monkeypatch.setattr(sessions, "token", lambda: sessions.SESSIONS.get(cookie))
    return answer.headers["location"]


def test_the_page_leads_to_the_provider_and_its_groups_decide_what_is_shown(house: House, oidc: Oidc) -> None:
    assert "Sign in with 127.0.0.1" in house.show("")
    oidc.claims = {"email": "ada@example.org", "groups": ["a-team"]}

    assert come_back(house, there(house, "run?id=abc")) == "/run?id=abc"

    listed = house.show()
    assert "run of a" in listed
    assert "run of b" not in listed
    assert "ada@example.org" in house.show("settings")
    house.browser.post("/signout")
    assert "Sign in with 127.0.0.1" in house.show()


def test_the_session_s_cookie_is_as_strict_as_that_of_a_token(house: House, oidc: Oidc) -> None:
    oidc.claims = {"groups": ["root"]}
    answer = house.browser.get(there(house))
    (cookie,) = (c.lower() for c in answer.headers.get_list("set-cookie") if c.startswith(sessions.COOKIE))
    assert all(word in cookie for word in ("httponly", "samesite=strict", "max-age=43200"))


def test_an_admin_ends_the_session_of_somebody_who_signed_in(house: House, oidc: Oidc) -> None:
    oidc.claims = {"email": "ada@example.org", "groups": ["root"]}
    come_back(house, there(house))
    assert "run of b" in house.show()
    (token,) = house.store.tokens()
    with sessions.reader(sessions.token()) as api:
        api.revoke_token(token.id)
    st.cache_data.clear()
    for _ in range(200):
        if "run of b" not in house.show():
            break
    else:
        pytest.fail("it can still be read")


def test_whoever_has_no_role_is_told_so_and_not_let_in(house: House, oidc: Oidc) -> None:
    oidc.claims = {"groups": ["guests"]}
    assert come_back(house, there(house, "alerts")) == "/?refused=role&place=alerts"
    assert house.browser.cookies.get(sessions.COOKIE) is None


def test_an_answer_that_this_browser_did_not_ask_for_signs_nobody_in(house: House, oidc: Oidc) -> None:
    oidc.claims = {"groups": ["root"]}
    to = there(house)
    with TestClient(house.browser.app, base_url="http://dashboard", follow_redirects=False) as victim:
        victim.get("/signin/provider")  # one of its own is under way
        answer = victim.get(to)
    assert answer.headers["location"] == "/?refused=provider"
    assert sessions.COOKIE not in answer.headers["set-cookie"]


@pytest.mark.parametrize("query", ["", "code=x", "code=x&state=guessed", "error=access_denied&state=guessed"])
def test_an_answer_to_nothing_signs_nobody_in(house: House, query: str) -> None:
    answer = house.browser.get(f"/signin/callback?{query}")
    assert answer.headers["location"] == "/?refused=provider"


def test_an_answer_counts_once(house: House, oidc: Oidc) -> None:
    oidc.claims = {"groups": ["root"]}
    to = there(house)
    cookie = house.browser.cookies[signing.COOKIE]
    assert house.browser.get(to).headers["location"] == "/"
    house.browser.cookies.set(signing.COOKIE, cookie)
    assert house.browser.get(to).headers["location"] == "/?refused=provider"


def test_what_the_provider_is_sent_holds_no_secret_of_ours(house: House, oidc: Oidc) -> None:
    asked = parse_qs(urlsplit(house.browser.get("/signin/provider").headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == ["http://dashboard/signin/callback"]
    assert "client_secret" not in asked
    assert "code_verifier" not in asked


def test_a_sign_in_that_takes_too_long_is_over_and_the_oldest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    found = sessions.Lasting[signing.Begun](signing.LASTS_S, lambda: now[0])
    made = signing.Begun(nonce="n", verifier="v", place="alerts")
    state = found.begin(made)
    now[0] = signing.LASTS_S - 1
    assert found.end(state) == made
    state = found.begin(made)
    now[0] += signing.LASTS_S
    assert found.end(state) is None
    monkeypatch.setattr(sessions, "MOST", 1)
    first, second = found.begin(made), found.begin(made)
    assert (found.end(first) is None, found.end(second) is None) == (True, False)
