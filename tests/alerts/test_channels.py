from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from monitor.alerts import AppriseChannel, Message, WebhookChannel, alerts_for, guard, open_urls
from monitor.alerts.guard import Policy
from monitor.alerts.messages import plan
from monitor.domain import Delivery, FindingState, Severity
from monitor.errors import DeliveryFailed, SettingsError

from .conftest import Webhook, a_finding, a_run


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({}, "failure"),
        ({"severity": Severity.WARNING}, "warning"),
        ({"state": FindingState.RESOLVED, "resolved_step": 1300.0}, "success"),
    ],
)
def test_a_webhook_gets_title_body_and_kind(webhook: Webhook, changed: dict[str, object], kind: str) -> None:
    (alert,) = alerts_for(a_run(), [a_finding(**changed)], now_ms=7)

    AppriseChannel(webhook.url).send(alert)

    (body,) = webhook.bodies
    assert body["title"] == alert.title
    assert body["message"].splitlines() == alert.body.splitlines()
    assert body["type"] == kind


def test_a_webhook_that_answers_500_is_a_failure_with_its_status(webhook: Webhook) -> None:
    webhook.statuses = [500]
    (alert,) = alerts_for(a_run(), [a_finding()], now_ms=7)

    with pytest.raises(DeliveryFailed, match="500"):
        AppriseChannel(webhook.url).send(alert)


def test_a_webhook_that_is_down_is_a_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        channel = AppriseChannel(f"json://127.0.0.1:{taken.getsockname()[1]}/")
        (alert,) = alerts_for(a_run(), [a_finding()], now_ms=7)

        with pytest.raises(DeliveryFailed, match="json://127"):
            channel.send(alert)


def test_a_channel_never_names_its_password() -> None:
    channel = AppriseChannel("json://user:hunter2secret@example.org/hook")

    assert "hunter2secret" not in channel.name


def test_a_url_that_apprise_does_not_know_is_a_settings_error_without_its_secrets() -> None:
    with pytest.raises(SettingsError, match="alert_urls") as caught:
        open_urls(["carrierpigeon://secret@loft"])

    assert "secret" not in str(caught.value)


def test_a_url_given_twice_is_one_channel() -> None:
    assert len(open_urls(["json://localhost/a", "json://localhost/b", "json://localhost/a"])) == 2


def a_message(**changed: object) -> Message:
    (alert,) = alerts_for(a_run(**changed), [a_finding()], now_ms=7)
    (planned,) = plan([Delivery(id=5, alert=alert)], (), 7, lambda run_id: f"http://dash/run?id={run_id}")
    return planned.message


def test_a_webhook_is_told_what_it_is_about_and_how_to_fold_what_comes_twice(webhook: Webhook) -> None:
    message = a_message()

    AppriseChannel(f"{webhook.url}?:team=vision").send(message)

    (body,) = webhook.bodies
    run_id = "ab" * 16
    assert {key: body[key] for key in ("id", "dedup_key", "run_id", "run", "project", "rule", "state", "link")} == {
        "id": f"{run_id}-5",
        "dedup_key": f"{run_id}:overfitting:3",
        "run_id": run_id,
        "run": "brave-otter",
        "project": "digits",
        "rule": "overfitting",
        "state": "firing",
        "link": f"http://dash/run?id={run_id}",
    }
    assert (body["count"], body["step"], body["severity"], body["team"]) == (1, 1150, "critical", "vision")


def test_a_name_calls_nobody(webhook: Webhook) -> None:
    AppriseChannel(webhook.url).send(a_message(name="@everyone <!channel> <@U123>"))

    (body,) = webhook.bodies
    for text in (body["title"], body["message"], body["run"]):
        assert not any(call in text for call in ("@everyone", "<!channel>", "@U123"))


Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def answering() -> Iterator[Callable[[Answer], str]]:
    """Starts a receiver that answers as a function says, and gives its Apprise URL."""
    servers = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                answer(self)

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, thread))
        return f"json://127.0.0.1:{server.server_port}/"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(answering: Callable[[Answer], str], webhook: Webhook, status: int) -> None:
    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", webhook.url.replace("json://", "http://"))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with pytest.raises(DeliveryFailed, match=str(status)):
        AppriseChannel(f"{answering(elsewhere)}?redirect=yes", private="always").send(a_message())
    assert webhook.bodies == []


def test_an_answer_without_an_end_is_not_read_to_its_end(answering: Callable[[Answer], str]) -> None:
    sent = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while len(sent) < 3000:
                handler.wfile.write(b"x" * 2**20)
                sent.append(1)
        except OSError:
            pass

    with pytest.raises(DeliveryFailed):
        AppriseChannel(answering(endless)).send(a_message())
    assert len(sent) < 100  # MiB, buffers of the kernel's included


@pytest.mark.parametrize("part", ["head", "body"])
def test_an_answer_that_never_ends_is_ended(
    answering: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(guard, "WITHIN_S", 0.5)
    done = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"X: " if part == "head" else b"\r\n"))
        try:
            while not done.wait(0.05):
                handler.wfile.write(b"x")
        except OSError:
            pass

    before = time.monotonic()
    with pytest.raises(DeliveryFailed, match=r"did not answer within 0\.5 s"):
        AppriseChannel(answering(drip)).send(a_message())
    done.set()
    assert time.monotonic() - before < 60  # and not for ever


@pytest.mark.parametrize(
    ("private", "named", "host", "address", "refused"),
    [
        ("named", "127.0.0.1", "127.0.0.1", "127.0.0.1", False),
        ("named", "localhost", "localhost", "::1", False),
        ("named", "10.1.2.3", "10.1.2.3", "10.1.2.3", False),
        ("named", "::1", "[::1]", "::1", False),
        ("named", "hooks.example.org", "hooks.example.org", "93.184.216.34", False),
        ("named", "hooks.example.org", "hooks.example.org", "127.0.0.1", True),
        ("named", "hooks.example.org", "hooks.example.org", "10.0.0.7", True),
        ("named", "hooks.example.org", "hooks.example.org", "::ffff:192.168.1.1", True),
        ("named", "hooks.example.org", "hooks.example.org", "fe80::1%eth0", True),
        ("named", "hooks.example.org", "hooks.example.org", "64:ff9b::5db8:d822", False),  # a public one behind NAT64
        ("named", "hooks.example.org", "hooks.example.org", "64:ff9b::a00:1", True),  # 10.0.0.1 behind NAT64
        ("named", "hooks.example.org", "hooks.example.org", "64:ff9b:1::a00:1", True),
        ("named", "hooks.example.org", "hooks.example.org", "2002:7f00:1::", True),  # 127.0.0.1 by 6to4
        ("named", "hooks.example.org", "hooks.example.org", "::7f00:1", True),
        ("named", "hooks.example.org", "hooks.example.org", "fec0::1", True),
        ("named", "hooks.example.org", "hooks.example.org", "ff02::1", True),
        ("named", "hooks.example.org", "hooks.example.org", "2606:2800:220:1::1", False),
        ("named", "64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe", True),  # link-local behind NAT64
        ("named", "hooks.example.org", "127.0.0.1", "127.0.0.1", True),  # an address that an answer named
        ("named", "169.254.169.254", "169.254.169.254", "169.254.169.254", True),
        ("never", "127.0.0.1", "127.0.0.1", "127.0.0.1", True),
        ("never", "hooks.example.org", "hooks.example.org", "93.184.216.34", False),
        ("always", "hooks.example.org", "hooks.example.org", "10.0.0.7", False),
    ],
)
def test_an_address_that_is_not_public_is_reached_where_it_was_meant(
    private: Any, named: str, host: str, address: str, refused: bool
) -> None:
    problem = Policy(private, frozenset({named})).problem(host, address)
    assert (problem is not None) == refused
    assert problem is None or "MONITOR_ALERT_PRIVATE=always" in problem


def test_a_channel_that_may_not_reach_an_address_sends_nothing_and_says_why(webhook: Webhook) -> None:
    with pytest.raises(DeliveryFailed, match=r"127\.0\.0\.1 is not a public address"):
        AppriseChannel(webhook.url, private="never").send(a_message())
    assert webhook.bodies == []


class Ipv6Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def test_an_ipv6_address_that_a_url_names_is_reached() -> None:
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    try:
        server = Ipv6Server(("::1", 0), Handler)
    except OSError:
        pytest.skip("this machine has no IPv6")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        AppriseChannel(f"json://[::1]:{server.server_port}/").send(a_message())
        WebhookChannel(f"http://[::1]:{server.server_port}/", "s" * 16, name="hook").send(a_message())
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(got) == 2


def test_why_a_request_failed_is_said_without_its_address(answering: Callable[[Answer], str]) -> None:
    plain = answering(lambda handler: None).removeprefix("json://")
    for channel, said in (
        (AppriseChannel(f"jsons://{plain}t0psecret"), "its certificate cannot be verified, or it does not speak TLS"),
        (WebhookChannel(f"https://{plain}t0psecret", "s" * 16, name="h"), "its certificate cannot be verified"),
        (WebhookChannel("http://127.0.0.1:9/t0psecret", "s" * 16, name="h"), "nothing takes connections there"),
        (WebhookChannel("http://no-such-host.invalid/t0psecret", "s" * 16, name="h"), "its name cannot be resolved"),
        (AppriseChannel("json://no-such-host.invalid/"), "its name cannot be resolved"),
    ):
        with pytest.raises(DeliveryFailed, match=said) as caught:
            channel.send(a_message())
        assert "t0psecret" not in caught.value.problem


def test_a_name_that_leads_home_is_refused(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    real, port = socket.getaddrinfo, int(webhook.url.rsplit(":", 1)[1].partition("/")[0])

    def resolve(host: str, *args: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host == "hooks.example.org" else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(DeliveryFailed, match=r"hooks\.example\.org is not a public address"):
        AppriseChannel(f"json://hooks.example.org:{port}/").send(a_message())
    assert webhook.bodies == []
    AppriseChannel(f"json://hooks.example.org:{port}/", private="always").send(a_message())
    assert len(webhook.bodies) == 1


def test_every_plugin_that_posts_is_guarded_and_nobody_else_is() -> None:
    import apprise
    import requests

    for schema in ("slack", "discord", "tgram", "msteams", "mmost", "ntfy", "gotify", "matrix"):
        apprise.Apprise.instantiate(f"{schema}://localhost/a/b/c")
    guard.guard_apprise()
    plugins = [m for name, m in sys.modules.items() if name.startswith("apprise.") and hasattr(m, "requests")]
    assert len(plugins) > 20
    assert all(module.requests is not requests for module in plugins)
    assert requests.Session.request.__module__ == "requests.sessions"
    assert issubclass(plugins[0].requests.RequestException, OSError)


def test_two_channels_that_fail_at_once_say_what_each_heard(answering: Callable[[Answer], str]) -> None:
    both = threading.Barrier(2)

    def refuse(status: int) -> Answer:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            both.wait(60)
            handler.send_response(status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        return answer

    said: dict[int, str] = {}

    def send(status: int, url: str) -> None:
        try:
            AppriseChannel(url).send(a_message())
        except DeliveryFailed as error:
            said[status] = error.problem

    threads = [threading.Thread(target=send, args=(status, answering(refuse(status)))) for status in (404, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(str(status) in said[status] for status in (404, 500))
