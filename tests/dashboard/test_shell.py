"""What stands around the pages: the tab's name before a page has drawn, and the answer to an unknown address."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard.shell import Shell


def _page(request: Request) -> HTMLResponse:  # Starlette hands the request over
    return HTMLResponse("<html><title>Streamlit</title><body>app</body></html>", headers={"Cache-Control": "no-cache"})


def _health(request: Request) -> PlainTextResponse:  # as above
    return PlainTextResponse("ok")


def client(base: str = "") -> TestClient:
    app = Starlette(routes=[Route("/_stcore/health", _health), Route("/{path:path}", _page)])
    return TestClient(Shell(app, ["", "run"], base))


def test_a_page_has_our_name_before_it_has_drawn() -> None:
    for path in ("/", "/run", "/run/", "/run?id=1"):
        answer = client().get(path)
        assert answer.status_code == 200
        assert "<title>monitor</title>" in answer.text and "Streamlit" not in answer.text
        assert answer.headers["cache-control"] == "no-cache"
    assert client("dash").get("/dash/run").status_code == 200


def test_an_unknown_address_is_a_404_that_leads_home_and_shows_the_address_as_text() -> None:
    answer = client().get("/<script>alert(1)</script>")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text and 'href="/"' in answer.text
    assert "<script>" not in answer.text
    assert client().get("/run/more").status_code == 404
    assert 'href="/dash/"' in client("dash").get("/dash/x").text


def test_what_is_no_page_passes_as_it_is() -> None:
    assert client().get("/_stcore/health").text == "ok"
