"""A signed webhook: HMAC-SHA256 over the timestamp and the body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from monitor.alerts.channels import EVERYTHING
from monitor.alerts.content import PICTURE, as_text
from monitor.alerts.guard import Policy, Private, guarded, library, reason, refusal
from monitor.alerts.messages import Message, body_fields, inert
from monitor.alerts.routes import Route
from monitor.domain import Alert
from monitor.errors import DeliveryFailed, SettingsError

VERSION: Final = "1.0"
SIGNATURE: Final = "Monitor-Signature"
TIMESTAMP: Final = "Monitor-Timestamp"
LEAST_SECRET: Final = 16
"""Fewest characters of a secret."""


class WebhookChannel:
    """Posts JSON to a URL, signed with a secret shared with the receiver.

    Args:
        url: `https://…` or `http://…`.
        secret: shared with the receiver.
        name: what log lines and errors call it.
        private: which addresses that are not public it may reach.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        name: str,
        private: Private = "named",
        route: Route = EVERYTHING,
        clock: Callable[[], float] = time.time,
    ) -> None:
        host = _host_of(url)
        if host is None:
            raise SettingsError(f"channels.{name}.url", "is not an address of a webhook", "write https://HOST/PATH")
        if len(secret) < LEAST_SECRET:
            fix = f"give at least {LEAST_SECRET} characters"
            raise SettingsError(f"channels.{name}.secret", "is too short", fix)
        self.name, self.route = name, route
        self.key = hashlib.sha256(f"{url} {secret}".encode()).hexdigest()[:32]
        self._url, self._secret, self._clock = url, secret.encode(), clock
        self._policy = Policy(private, frozenset({host}))

    def send(self, alert: Alert) -> None:
        """Post a message.

        Raises:
            DeliveryFailed: the receiver did not answer with 2xx.
        """
        body = json.dumps(body_of(alert), allow_nan=False).encode()
        stamp = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "lossmonitor",
            TIMESTAMP: stamp,
            SIGNATURE: f"v1={signature(self._secret, stamp, body)}",
        }
        import requests

        with guarded(self._policy):
            try:
                answer = library().request("POST", self._url, data=body, headers=headers)
            except requests.exceptions.RequestException as error:  # whose text holds the address
                raise DeliveryFailed(self.name, self._policy.refused or reason(error)) from None
        refused = refusal(answer.status_code)
        if refused is not None:
            raise DeliveryFailed(self.name, refused)


def _host_of(url: str) -> str | None:
    """The host of a URL; None if it cannot be requested."""
    import requests

    try:
        asked = requests.Request("POST", url).prepare().url
        parts = urlsplit(asked or "")
        (parts.hostname or "").encode("idna")  # as is done to connect
    except (requests.exceptions.RequestException, ValueError):
        return None
    return parts.hostname if parts.scheme in ("http", "https") else None


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp, a full stop and the body, in hex."""
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def body_of(alert: Alert) -> dict[str, object]:
    """The JSON body of a signed webhook."""
    kind = (
        "success"
        if alert.state == "resolved"
        else {"critical": "failure"}.get(str(alert.severity), str(alert.severity))
    )
    body: dict[str, object] = {"version": VERSION, "title": inert(alert.title), "message": as_text(alert), "type": kind}
    if isinstance(alert, Message):
        picture = None
        if alert.picture is not None:
            encoded = base64.b64encode(alert.picture).decode()
            picture = {"filename": PICTURE, "mimetype": "image/png", "base64": encoded}
        body |= {**body_fields(alert), "picture": picture}
    return body
