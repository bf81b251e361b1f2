"""Signing in: who sees what, what is offered, and that the server decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from dashboard import readings, sessions
from monitor.api import create_api
from monitor.domain import Access, Caller, RunStatus
from monitor.errors import Forbidden
from monitor.ingest.engines import Engines
from monitor.settings import load
from monitor.store import Store

from ..api.conftest import served
from .conftest import MAIN, PAGES, logged

PAGES.setdefault("settings", "settings_page.py")
ROOT = Caller(name="root", access=Access.ADMIN)


@dataclass
class House:
    """A server that asks for tokens, a dashboard over it, and who is signed in there."""

    store: Store
    browser: TestClient
    monkeypatch: pytest.MonkeyPatch

    def token(self, role: str, project: str | None = None, name: str = "someone") -> str:
        return self.store.create_token(
            name, Access(role), project=project, expires_ms=None, now_ms=readings.now_ms(), by=ROOT
        )[1]

    def sign_in(self, token: str) -> None:
        self.browser.post("/signin", data={"token": token}, follow_redirects=False)
        cookie = self.browser.cookies.get(sessions.COOKIE)
        self.monkeypatch.setattr(sessions, "token", lambda: sessions.SESSIONS.get(cookie))

    def show(self, page: str = "runs", **query: str) -> str:
        app = AppTest.from_file(str(MAIN), default_timeout=120)
        app.run()
        if page:
            app.switch_page(PAGES[page])
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception
        found = [block.proto.json or block.proto.mixed.json for block in app.get("bidi_component")]
        return "\n".join([*found, *(block.value for block in app.markdown)])


@pytest.fixture
def house(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    st.cache_resource.clear()
    settings = load(dir=str(Path(sqlite_url.removeprefix("sqlite:///")).parent))
    monkeypatch.setenv("MONITOR_TOKEN", "a-token-that-the-dashboard-must-not-use")
    guarded = settings.model_copy(update={"token": "a-token-that-the-dashboard-must-not-use"})
    with Store.open(sqlite_url) as store, served(create_api(store, Engines(), guarded)) as address:
        monkeypatch.setenv("MONITOR_SERVER_URL", address)
        for project in ("a", "b"):
            logged(store, f"run of {project}", [2.0, 1.0], project=project)
        app = Starlette(routes=[*sessions.routes()])
        with TestClient(app, base_url="http://dashboard", follow_redirects=False) as browser:
            yield House(store, browser, monkeypatch)
        st.cache_resource.clear()


def test_without_a_session_no_page_shows_anything_though_the_dashboard_has_a_token_in_its_environment(
    house: House,
) -> None:
    for page in ("", "run", "compare", "alerts", "settings"):
        shown = house.show(page, id="run of a")
        assert "Sign in" in shown
        assert "run of" not in shown.replace("place", "").replace("run%20of", "")
        assert 'type=\\"password\\"' in shown


def test_a_token_signs_in_with_a_cookie_that_no_script_and_no_other_site_gets(house: House) -> None:
    answer = house.browser.post("/signin", data={"token": house.token("viewer"), "place": "run?id=abc"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/run?id=abc")
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "max-age=43200", "path=/"))
    assert "lm_" not in cookie
    secure = house.browser.post(
        "/signin", data={"token": house.token("viewer")}, headers={"X-Forwarded-Proto": "https"}
    )
    assert "secure" in secure.headers["set-cookie"].lower()


@pytest.mark.parametrize("token", ["", "wrong", "lm_0123456789abcdef_" + "A" * 43, "x" * 5000])
def test_a_token_that_the_server_does_not_know_begins_no_session(house: House, token: str) -> None:
    answer = house.browser.post("/signin", data={"token": token, "place": "alerts"})

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/?refused=token")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "\\evil", "run?id=a\r\nX: y", "javascript:x"]
)
def test_signing_in_leads_nowhere_else(house: House, place: str) -> None:
    answer = house.browser.post("/signin", data={"token": house.token("viewer"), "place": place})

    assert answer.headers["location"] == "/"


def test_a_session_shows_what_its_token_may_see_and_nothing_more(house: House) -> None:
    house.sign_in(house.token("viewer", "a"))

    listed = house.show()
    assert "run of a" in listed
    assert "run of b" not in listed
    assert "This run is not here." in house.show("run", id="run of b")


def test_a_viewer_is_offered_nothing_that_acts_and_refused_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.sign_in(house.token("viewer"))
    seen = house.show("run", id="run of a")
    assert "run of a" in seen
    assert "Ask to stop" not in seen
    with sessions.reader(sessions.token()) as api, pytest.raises(Forbidden, match="needs the role editor"):
        api.run("run of a").request_stop("x")

    settings = house.show("settings")
    assert "need the role admin" in settings
    assert "viewer" in settings
    assert "Create token" not in settings

    feed = logged(house.store, "stuck", [1.0], project="a")
    house.store.set_status(feed.run_id, RunStatus.STALLED, now_ms=readings.now_ms())
    assert "stuck" in house.show("attention")
    assert "Ask it to stop" not in house.show("attention")

    house.sign_in(house.token("editor"))
    assert "Ask to stop" in house.show("run", id="run of a")
    assert "Ask it to stop" in house.show("attention")


def test_an_admin_sees_tokens_and_the_audit_log_and_hostile_names_stay_text(house: House) -> None:
    house.token("viewer", name="<img src=x onerror=alert(1)>")
    eve = Caller(name="<i>eve</i>", access=Access.EDITOR)
    house.store.request_stop(house.store.run("run of a").id, "<b>ada</b>", now_ms=readings.now_ms(), by=eve)
    house.sign_in(house.token("admin", name="root token"))

    shown = house.show("settings")

    assert "root token" in shown
    assert "run.stop" in shown
    assert "token.create" in shown
    for tag in ("<img", "<b>ada", "<i>eve"):
        assert tag not in shown
    assert "&lt;img" in shown


def test_signing_out_ends_the_session_for_every_page_that_is_open(house: House) -> None:
    house.sign_in(house.token("viewer"))
    assert "run of a" in house.show()

    answer = house.browser.post("/signout")

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "Sign in" in house.show()


def test_a_session_ends_by_itself() -> None:
    now = [0.0]
    found = sessions.Lasting[str](sessions.LASTS_S, lambda: now[0])
    name = found.begin("token")
    now[0] = sessions.LASTS_S - 1
    assert found.get(name) == "token"
    now[0] = sessions.LASTS_S
    assert found.get(name) is None
    now[0] = 0.0
    assert found.get(name) is None  # it was forgotten, not only refused


def test_the_oldest_session_ends_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 2)
    found = sessions.Lasting[str](sessions.LASTS_S)
    names = [found.begin(str(i)) for i in range(3)]

    assert [found.get(name) for name in names] == [None, "1", "2"]


def test_a_revoked_token_ends_what_the_page_may_read(house: House) -> None:
    token = house.token("viewer")
    house.sign_in(token)
    assert "run of a" in house.show()

    house.store.revoke_token(token.split("_")[1], now_ms=readings.now_ms(), by=ROOT)
    for _ in range(200):
        if "run of a" not in house.show():
            break
    else:
        pytest.fail("it can still be read")
    assert "Sign in" in house.show()


def test_where_the_server_asks_for_no_token_nobody_signs_in(embedded: Store, show: Callable[..., str]) -> None:
    logged(embedded, "open to all", [1.0])

    assert "open to all" in show()


def test_a_server_that_asks_for_no_token_is_not_shown_to_other_machines(
    embedded: Store, show: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "exposed", lambda: True)
    logged(embedded, "a secret run", [1.0])

    assert "a secret run" not in show()
    with TestClient(Starlette(routes=[*sessions.routes()]), follow_redirects=False) as browser:
        answer = browser.post("/signin", data={"token": "anything"})
    assert answer.headers["location"] == "/?refused=open"
    assert "set-cookie" not in answer.headers
