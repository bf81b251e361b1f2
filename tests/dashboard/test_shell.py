"""What stands around the pages: the tab's name before a page has drawn, and the answer to an unknown address."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard import assets
from dashboard.navigation import moved
from dashboard.shell import Shell


def _page(request: Request) -> HTMLResponse:  # Starlette hands the request over
    return HTMLResponse("<html><title>Streamlit</title><body>app</body></html>", headers={"Cache-Control": "no-cache"})


def _health(request: Request) -> PlainTextResponse:  # as above
    return PlainTextResponse("ok")


def client(base: str = "") -> TestClient:
    app = Starlette(routes=[Route("/_stcore/health", _health), Route("/{path:path}", _page)])
    return TestClient(Shell(app, ["", "run", "runs"], base, moved))


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


def test_a_pages_head_asks_early_for_the_scripts_that_it_will_need() -> None:
    app = Starlette(routes=[Route("/{path:path}", _page)])
    for base in ("", "dash"):
        early = lambda path: ((f"/{path}\\1.js",), "/p.js")  # noqa: E731 - used once
        shell = TestClient(Shell(app, ["", "run"], base, early=early))
        head = shell.get(f"/{base}/run/".replace("//", "/")).text
        script = '<script async src="/p.js" onerror="this.remove()"></script>'
        assert f'</script><link rel="modulepreload" href="/run\\1.js">{script}' in head
    (plain, nothing), (charts, plotly) = assets.early(charts=False), assets.early(charts=True)
    assert assets.url("live.js") in plain and assets.url("panels.js") not in plain and nothing == ""
    assert assets.url("panels.js") in charts and plotly == assets.url(assets.PLOTLY)


def test_scripts_are_kept_for_ever_under_the_digest_of_what_they_hold_and_not_under_another() -> None:
    scripts = TestClient(Starlette(routes=assets.routes()))
    for name in ("live.js", "panels.js", "drawing.js", assets.PLOTLY):
        answer = scripts.get(assets.url(name))
        assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)
        older = scripts.get(f"/assets/0123456789abcdef/{name}")
        assert (older.content == answer.content, older.headers["cache-control"]) == (True, "no-store")
    assert scripts.get(assets.url("style.css")).status_code == 404
    assert scripts.get("/assets/x/../assets.py").status_code == 404


def test_what_is_no_page_passes_as_it_is() -> None:
    assert client().get("/_stcore/health").text == "ok"


def test_old_links_lead_to_where_their_page_is_now() -> None:
    for base in ("", "dash"):
        at = f"/{base}".rstrip("/")
        for old, now in (
            ("/?status=running&q=a%26b", "/runs?status=running&q=a%26b"),
            ("/?sort=", "/runs?sort="),
            ("/attention", "/"),
            ("/attention?x=1", "/?x=1"),
        ):
            answer = client(base).get(f"{at}{old}", follow_redirects=False)
            assert (answer.status_code, answer.headers["location"]) == (307, f"{at}{now}")
        for right in ("/", "/?embed=true", "/runs?status=running", "/run?id=1"):
            assert client(base).get(f"{at}{right}", follow_redirects=False).status_code == 200
