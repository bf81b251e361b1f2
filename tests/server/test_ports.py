from __future__ import annotations

from collections.abc import Iterator

import pytest

from monitor.errors import SettingsError
from monitor.server.ports import bind, check_exposure, free_port, running_there, url_of
from monitor.settings import Settings


@pytest.fixture
def taken() -> Iterator[int]:
    with bind("127.0.0.1", 0, "port") as sock:
        yield int(sock.getsockname()[1])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "trainbox.example.org"])
def test_an_address_that_others_reach_needs_a_token(host: str) -> None:
    with pytest.raises(SettingsError, match="MONITOR_TOKEN"):
        check_exposure(Settings(host=host))
    with pytest.raises(SettingsError, match=r"has 15 characters.*take 16 or more.*secrets.token_urlsafe"):
        check_exposure(Settings(host=host, token="s" * 15))
    check_exposure(Settings(host=host, token="s" * 16))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_needs_none(host: str) -> None:
    check_exposure(Settings(host=host))


def test_a_port_that_is_taken_is_named_with_the_setting_that_changes_it(taken: int) -> None:
    with pytest.raises(SettingsError, match=f"setting dashboard_port: port {taken}.*MONITOR_DASHBOARD_PORT"):
        free_port("127.0.0.1", taken, "dashboard_port")


def test_port_0_is_a_free_one_and_a_free_one_is_kept() -> None:
    port = free_port("127.0.0.1", 0, "port")

    assert 0 < port < 32_768  # no outgoing connection takes it before the process that it is for
    assert free_port("127.0.0.1", port, "port") == port


def test_a_host_of_another_machine_cannot_be_bound() -> None:
    with pytest.raises(SettingsError, match="cannot listen"):
        bind("192.0.2.1", 0, "port")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_the_address_is_one_that_this_machine_can_call(host: str, url: str) -> None:
    assert url_of(host, 80) == url


def test_a_port_that_nobody_or_somebody_else_has_is_not_ours(taken: int) -> None:
    assert running_there(Settings(port=free_port("127.0.0.1", 0, "port")), "id") is None


def test_a_server_that_is_not_ours_is_not_taken_for_it() -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'["ok"]')

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert running_there(Settings(port=server.server_port), "id") is None
        thread.join()
