"""No page on the web reaches the dashboard, whoever started it: real handshakes with names that are not its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from ..browser.conftest import addresses, spawn, stop

pytestmark = pytest.mark.xdist_group("rebinding")  # one dashboard for all of them


@pytest.fixture(scope="module", params=["up", pytest.param("dashboard", marks=pytest.mark.slow)])
def dashboard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.URL]:
    """The dashboard of `monitor up`, and that of `monitor dashboard`."""
    ports = ("--port", "0", *(["--dashboard-port", "0"] if request.param == "up" else []))
    hosts = {"MONITOR_DASHBOARD_HOSTS": "monitor.example.org"}
    process = spawn(tmp_path_factory.mktemp("dashboard"), request.param, "--json", *ports, **hosts)
    try:
        yield httpx.URL(addresses(process)["dashboard"])
    finally:
        stop(process)


def status(place: httpx.URL, path: str, **headers: str) -> int:
    """What a request is answered with."""
    lines = [f"GET {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    with closing(socket.create_connection((place.host, place.port or 80), timeout=20)) as sock:
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(sock.recv(4096).split()[1])


def handshake(place: httpx.URL, **headers: str) -> int:
    """What the dashboard's websocket is answered with: 101 where it is opened."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    return status(place, "/_stcore/stream", Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==", **upgrade, **headers)


@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:{port}", "127.0.0.1.nip.example:{port}", "a@evil.example"]
)
def test_a_name_that_a_page_made_its_own_reads_nothing_and_opens_no_websocket(dashboard: httpx.URL, name: str) -> None:
    host = name.format(port=dashboard.port)

    assert handshake(dashboard, Host=host, Origin=f"http://{host}") == 403
    assert handshake(dashboard, Host=host) == 403
    for path in ("/", "/_stcore/health", "/_stcore/host-config", "/run", "/nothing"):
        assert status(dashboard, path, Host=host) == 403, path


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:{other}", "null", "http://{host}.evil.example"]
)
def test_a_page_from_elsewhere_opens_no_websocket(dashboard: httpx.URL, origin: str) -> None:
    host = f"127.0.0.1:{dashboard.port}"
    given = origin.format(host=host, other=(dashboard.port or 0) + 1)

    assert handshake(dashboard, Host=host, Origin=given) == 403
    assert status(dashboard, "/", Host=host, Origin=given) == 403


@pytest.mark.parametrize(
    "name", ["127.0.0.1:{port}", "localhost:{port}", "trainbox:{port}", "[::1]:{port}", "monitor.example.org"]
)
def test_its_own_pages_work_by_every_name_that_is_its_own(dashboard: httpx.URL, name: str) -> None:
    host = name.format(port=dashboard.port)

    assert status(dashboard, "/", Host=host) == 200
    assert handshake(dashboard, Host=host, Origin=f"http://{host}") == 101
    assert handshake(dashboard, Host=host) == 101


def test_a_proxy_may_put_its_own_name_for_the_host(dashboard: httpx.URL) -> None:
    assert handshake(dashboard, Host=f"127.0.0.1:{dashboard.port}", Origin="https://monitor.example.org") == 101


def test_its_pages_cannot_be_framed_by_others(dashboard: httpx.URL) -> None:
    headers = httpx.get(dashboard).headers

    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"


@pytest.mark.parametrize(
    "path", ["upload_file/s/f", "metrics", "agent/interact", "agent/mcp", "agent/openapi.json", "script-health-check"]
)
def test_what_the_pages_do_not_use_of_streamlit_answers_nobody(dashboard: httpx.URL, path: str) -> None:
    for method in ("GET", "PUT", "POST", "DELETE"):
        assert httpx.request(method, f"{dashboard}/_stcore/{path}").status_code == 404, method
