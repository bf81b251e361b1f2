"""What real receivers get: an SMTP server, a Slack endpoint and webhooks on loopback."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import hashlib
import hmac
import json
import re
import socket
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from monitor._resources import ROOT
from monitor.alerts import AppriseChannel, Facts, Message, WebhookChannel, alerts_for, status_alert
from monitor.alerts.content import as_text
from monitor.alerts.messages import plan
from monitor.alerts.specs import read
from monitor.domain import Delivery, RunStatus, Saving
from monitor.errors import DeliveryFailed, SettingsError
from monitor.jobs.describing import describe
from monitor.settings import load
from monitor.store import Store
from tests.conftest import Feed

from .conftest import Webhook, a_finding, a_run

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
HOSTILE = "<script>alert(1)</script> *b* [x](http://evil) @everyone <!channel> `c`"
SECRET = "a-shared-secret-of-24-ch"


def a_message(**run: object) -> Message:
    (alert,) = alerts_for(a_run(**run), [a_finding()], now_ms=7)
    (planned,) = plan([Delivery(id=5, alert=alert)], (), 7, lambda run_id: f"http://dash:8471/run?id={run_id}")
    facts = Facts(
        onset_step=900.0,
        best=("val/loss", 0.41, 875.0),
        checkpoint=("ckpt-875.pt", 875),
        action="stop",
        reason="Validation loss is rising.",
        saves=Saving(planned_steps=4000, last_step=799, steps=3200, hours=2.5, cost=5.0),
    )
    return replace(planned.message, facts=facts, picture=PNG)


class Inbox:
    """Keeps the messages that an SMTP server took."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


class Listening(Controller):  # type: ignore[misc]  # aiosmtpd has no types
    """A mail server on a socket that is open already: a free port may be another's a moment later."""

    def __init__(self, inbox: Inbox, listening: socket.socket) -> None:
        super().__init__(inbox, hostname="127.0.0.1", port=listening.getsockname()[1], ready_timeout=60)
        self._listening = listening

    def _create_server(self) -> Coroutine[Any, Any, asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._listening)


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    found = Inbox()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        controller = Listening(found, listening)
        controller.start()
        try:
            yield found, controller.port
        finally:
            controller.stop()


class Received:
    """What an HTTP receiver was posted: path, headers, body."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.port = 0


@pytest.fixture
def http() -> Iterator[Received]:
    found = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.posts.append((self.path, dict(self.headers), body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_e_mail_has_the_sentence_the_facts_the_links_and_the_picture(inbox: tuple[Inbox, int]) -> None:
    found, port = inbox
    AppriseChannel(f"mailto://127.0.0.1:{port}?from=monitor@example.org&to=ada@example.org&mode=insecure").send(
        a_message()
    )

    (mail,) = found.mails
    assert mail["Subject"] == "brave-otter: overfitting since step 900 (digits)"
    body = mail.get_body(("html",))
    assert body is not None
    text = body.get_content()
    for part in (
        "Validation loss rose from 0.41 to 0.58 while training loss fell.",
        "Best val/loss: 0.41 at step 875; nearest checkpoint: ckpt-875.pt (step 875).",
        "Recommendation: stop. Validation loss is rising.",
        "A stop now saves 2.5 hours, about 5.00 USD.",
        f'href="http://dash:8471/run?id={"ab" * 16}"',
        "/alerts?ack=",
        "/alerts?silence=",
    ):
        assert part in text, part
    pictures = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert [part.get_content() for part in pictures] == [PNG]
    assert pictures[0].get_filename() == "curve.png"


def test_an_added_channel_reaches_no_private_address_by_any_protocol(
    inbox: tuple[Inbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, port = inbox
    real = socket.getaddrinfo

    def resolve(host: str, *args: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host == "mail.example.org" else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    mail = f"mailto://mail.example.org:{port}?from=m@example.org&to=ada@example.org&mode=insecure"
    with socket.socket(type=socket.SOCK_DGRAM) as log:
        log.bind(("127.0.0.1", 0))
        log.settimeout(0.1)
        for url in (mail, f"rsyslog://127.0.0.1:{log.getsockname()[1]}/user"):
            private = "named" if url == mail else "never"
            with pytest.raises(DeliveryFailed, match="is not a public address"):
                read("c", {"url": url}, stored=True).open(private).send(a_message())
        with pytest.raises(TimeoutError):
            log.recv(1)
        read("c", {"url": url}, stored=True).open("named").send(a_message())  # the address in its URL is meant
        log.settimeout(60)
        assert b"overfitting" in log.recv(2000)
    assert found.mails == []
    read("c", {"url": mail}, stored=True).open("always").send(a_message())
    read("c", {"url": mail}).open("named").send(a_message())  # of monitor.toml
    assert len(found.mails) == 2


def test_the_proxy_of_the_environment_may_be_anywhere(http: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{http.port}")
    read("c", {"url": "json://hooks.example.org/x"}, stored=True).open("never").send(a_message())
    assert [path for path, _, _ in http.posts] == ["http://hooks.example.org/x"]


def test_an_added_channel_reads_no_file_of_the_server(http: Received, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"token": "t0psecret"}')
    for url in (
        f"slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?template={secret}",
        f"discord://{'1' * 18}/{'a' * 60}/?template={secret}",
        f"fcm://project/device/?keyfile={secret}",
    ):
        with pytest.raises(DeliveryFailed, match="names a file of the server"):
            read("c", {"url": url}, stored=True).open("named").send(a_message())


def test_a_hostile_name_is_text_in_an_e_mail(inbox: tuple[Inbox, int]) -> None:
    found, port = inbox
    AppriseChannel(f"mailto://127.0.0.1:{port}?from=monitor@example.org&to=ada@example.org&mode=insecure").send(
        a_message(name=HOSTILE, project=HOSTILE)
    )

    body = found.mails[0].get_body(("html",))
    assert body is not None
    text = body.get_content()
    assert "<script" not in text
    assert "@everyone" not in text
    assert re.findall(r"<(\w+)", text) == [
        each
        for each in re.findall(r"<(\w+)", text)
        if each in ("div", "p", "a", "html", "body", "head", "title", "br", "b", "meta", "style", "h1", "h2")
    ]


def test_slack_gets_its_own_markup(http: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://127.0.0.1:{http.port}/services")
    url = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#training"
    AppriseChannel(url, private="always").send(a_message(name=HOSTILE))

    ((path, _, body),) = http.posts
    assert path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    payload = json.loads(body)
    assert payload["channel"] == "#training"
    shown = json.dumps(payload, ensure_ascii=False)
    text = payload["attachments"][0]["text"]
    assert "A stop now saves 2.5 hours" in text
    assert f"<http://dash:8471/run?id={'ab' * 16}|Open the run>" in text
    for call in ("@everyone", "<!channel>", "<http://evil", "<script"):
        assert call not in shown


def test_a_json_webhook_has_the_facts_as_fields_and_the_picture_attached(webhook: Webhook) -> None:
    AppriseChannel(webhook.url).send(a_message())

    (body,) = webhook.bodies
    assert body["best"] == {"of": "val/loss", "value": 0.41, "step": 875}
    assert body["checkpoint"] == {"path": "ckpt-875.pt", "step": 875}
    assert (body["saves"]["steps"], body["saves"]["cost"]) == (3200, 5.0)
    assert set(body["links"]) == {"run", "acknowledge", "silence"}
    (attached,) = body["attachments"]
    assert (attached["filename"], attached["mimetype"]) == ("curve.png", "image/png")
    assert base64.b64decode(attached["base64"]) == PNG


def test_an_alert_of_the_loop_without_a_text_arrives_too(webhook: Webhook) -> None:
    (alert,) = alerts_for(a_run(), [a_finding()], now_ms=7)
    AppriseChannel(webhook.url).send(replace(alert, title="disk full", body=""))

    (body,) = webhook.bodies
    assert (body["title"], body["message"]) == ("disk full", "Run brave-otter of project digits.")


def test_a_signed_webhook_can_be_verified_and_its_body_cannot_be_changed(http: Received) -> None:
    url = f"http://127.0.0.1:{http.port}/hook/t0ken"
    WebhookChannel(url, SECRET, name="hook", clock=lambda: 1_700_000_000.9).send(a_message())

    ((path, headers, body),) = http.posts
    stamp, signature = headers["Monitor-Timestamp"], headers["Monitor-Signature"]
    assert (path, stamp) == ("/hook/t0ken", "1700000000")
    expected = hmac.new(SECRET.encode(), b"1700000000." + body, hashlib.sha256).hexdigest()
    assert signature == f"v1={expected}"
    data = json.loads(body)
    assert (data["version"], data["rule"], data["type"]) == ("1.0", "overfitting", "failure")
    assert base64.b64decode(data["picture"]["base64"]) == PNG


def test_the_sample_of_the_docs_verifies_what_is_sent_and_refuses_the_rest(http: Received) -> None:
    text = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    sample = next(code for code in re.findall(r"```python\n(.*?)```", text, re.S) if "def verified" in code)
    scope: dict[str, Any] = {}
    exec(sample, scope)
    verified = scope["verified"]
    WebhookChannel(f"http://127.0.0.1:{http.port}/", SECRET, name="hook", clock=lambda: 1_000.0).send(a_message())

    ((_, headers, body),) = http.posts
    secret = SECRET.encode()
    assert verified(secret, headers, body, now=1_010.0)
    assert not verified(secret, headers, body + b" ", now=1_010.0)
    assert not verified(b"another", headers, body, now=1_010.0)
    assert not verified(secret, headers, body, now=1_000.0 + 301)  # sent again by somebody later
    assert not verified(secret, {}, body, now=1_010.0)
    for stamp, signed in (("9" * 5000, "v1=x"), ("\u0661", "v1=x"), ("1000", "v1=\xe9"), ("1000", ""), ("-1", "v1=x")):
        assert not verified(secret, {"Monitor-Timestamp": stamp, "Monitor-Signature": signed}, body, now=1_010.0)


def test_a_signed_webhook_that_is_down_says_so_without_its_address() -> None:
    channel = WebhookChannel("http://127.0.0.1:9/hook/t0ken", SECRET, name="hook")
    with pytest.raises(DeliveryFailed) as caught:
        channel.send(a_message())
    assert "hook: nothing takes connections there" in str(caught.value)
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, r"channels\.x: has no url"),
        ({"url": "carrierpigeon://loft"}, r"channels\.x\.url: Apprise cannot use"),
        ({"url": "https://example.org/x"}, "give a secret too"),
        *(
            ({"url": url, "secret": SECRET}, r"channels\.x\.url: is not an address of a webhook")
            for url in (
                "http://[::1/hook",
                "http://host:port/",
                "http:///x",
                "http://a b/",
                "http://.../",
                "http://\u2100.com/",
                f"http://{'a' * 300}.org/",
                "http://h:99999/",
                "ftp://example.org/x",
                "example.org",
            )
        ),
        ({"url": "https://example.org/x", "secret": "short"}, r"channels\.x\.secret: is too short"),
        ({"url": "json://h", "level": "huge"}, r"channels\.x\.level: got 'huge'; write critical, warning or info"),
        ({"url": "json://h", "quiet": "22-7"}, r"channels\.x\.quiet: '22-7' is not a period"),
        ({"url": "json://h", "digest": "0 25 * * *"}, r"channels\.x\.digest: '0 25 \* \* \*' is not a time of cron"),
        ({"url": "json://h", "digest": "daily"}, r"channels\.x\.digest"),
        ({"url": "json://h", "zone": "Mars/Olympus"}, r"channels\.x\.zone"),
        ({"url": "json://h", "projects": "digits"}, r"channels\.x\.projects: is not a list"),
        ({"url": "json://h", "only_digest": True}, r"channels\.x\.only_digest: has no digest"),
        ({"url_env": "MONITOR_NO_SUCH"}, r"channels\.x\.url_env: MONITOR_NO_SUCH is not set"),
        ({"url": 7}, r"channels\.x\.url: is not a text"),
        ("json://h", r"channels\.x: is not a table"),
    ],
)
def test_a_channel_that_cannot_be_used_names_the_place_and_the_fix(table: object, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read("x", table).open("named")


def test_a_message_about_a_real_run_has_its_facts_and_a_picture(store: Store) -> None:
    feed = Feed(store)
    feed.start(name="real", config={"max_steps": 5000})
    steps = range(0, 3000, 10)
    feed.log("train/loss", steps, [2.0 * 0.998**s for s in steps])
    feed.log("val/loss", steps, [2.0 * 0.998**s + max(0.0, s - 900) * 4e-4 for s in steps])
    feed.event("checkpoint", step=900, path="ckpt-900.pt")
    found = next(d for d in store.alerts() if d.alert.kind == "overfitting")
    (planned,) = plan([found], (), feed.now_ms, lambda run: f"http://dash/run?id={run}")

    message = describe(store, load(), planned.message)

    assert message.facts is not None
    assert message.facts.best is not None
    assert (message.facts.best[0], message.facts.checkpoint) == ("val/loss", ("ckpt-900.pt", 900))
    assert message.facts.action == "stop"
    assert message.facts.saves is not None
    assert message.facts.saves.steps == 5000 - 2991
    assert message.picture is not None
    import io

    from PIL import Image

    image = Image.open(io.BytesIO(message.picture))
    assert (image.format, image.size) == ("PNG", (640, 320))
    colours = [colour for _, colour in image.convert("RGB").getcolors(1_000_000)]
    for wanted in ((9, 105, 218), (188, 76, 0), (179, 38, 30)):  # the curves, and where the trouble begins
        assert min(sum(abs(a - b) for a, b in zip(colour, wanted, strict=True)) for colour in colours) < 60


def test_a_message_that_a_healthy_run_is_lost_recommends_nothing(store: Store) -> None:
    feed = Feed(store)
    feed.start(name="gone")
    feed.log("train/loss", range(200), [2.0 * 0.99**s for s in range(200)])
    alert = status_alert(store.run(feed.run_id), RunStatus.LOST, now_ms=feed.now_ms)
    store.set_status(feed.run_id, RunStatus.LOST, now_ms=feed.now_ms, alert=alert)
    (planned,) = plan([found for found in store.alerts() if found.alert.kind == "lost"], (), feed.now_ms + 60_000)
    message = describe(store, load(), planned.message)
    assert "Best train/loss" in as_text(message) and "Recommendation" not in as_text(message)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("status", "said"),
    [(500, "answered 500"), (302, "a redirect, which is not followed; give"), (403, "check the token")],
)
def test_a_receiver_that_refuses_is_named_with_what_to_change(
    webhook: Webhook, status: int, said: str, signed: bool
) -> None:
    webhook.statuses.append(status)
    table = {"url": webhook.url.replace("json:", "http:"), "secret": SECRET} if signed else {"url": webhook.url}
    with pytest.raises(DeliveryFailed, match=said) as failed:
        read("mine", table).open("named").send(a_message())
    assert str(failed.value).startswith("alert channel mine: it answered") and "\n" not in str(failed.value)
