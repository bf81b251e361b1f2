"""Where alerts go: one seam, Apprise behind it, and a channel in memory for tests and for people who embed this."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, Protocol

from monitor.domain import Alert, Severity
from monitor.errors import DeliveryFailed, SettingsError


class Channel(Protocol):
    """Somewhere that an alert can be sent.

    Attributes:
        name: what log lines and errors call it; holds no password and no token.
    """

    @property
    def name(self) -> str:
        """What log lines and errors call it."""
        ...

    def send(self, alert: Alert) -> None:
        """Hand the alert over; return once the receiver took it.

        Raises:
            DeliveryFailed: the receiver did not take it; it may be sent again.
        """
        ...


class MemoryChannel:
    """Keeps the alerts it is sent.

    Attributes:
        sent: in the order in which they came.
    """

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.sent: list[Alert] = []

    def send(self, alert: Alert) -> None:
        """Keep the alert."""
        self.sent.append(alert)


class AppriseChannel:
    """One Apprise URL: `json://host/path` for a webhook, `slack://…`, `mailto://…` and a hundred more.

    Args:
        url: as <https://github.com/caronc/apprise/wiki> lists them.

    Raises:
        SettingsError: Apprise does not know the URL, or is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            import apprise
        except ImportError:
            raise SettingsError("alert_urls", "Apprise is not installed", 'pip install "lossmonitor[server]"') from None
        service = apprise.Apprise.instantiate(url)
        if service is None:
            # Neither the URL nor what Apprise says of it: both hold its password.
            scheme = url.split("://", maxsplit=1)[0] if "://" in url else "?"
            raise SettingsError(
                "alert_urls",
                f"Apprise cannot use a URL that starts with {scheme}://",
                "see https://github.com/caronc/apprise/wiki for the spelling",
            )
        self.name: str = service.url(privacy=True).split("?", maxsplit=1)[0]
        self._apprise = apprise.Apprise()
        self._apprise.add(service)

    def send(self, alert: Alert) -> None:
        """Send title and body; a resolved alert goes out as a success, a critical one as a failure.

        Raises:
            DeliveryFailed: the service did not take it; what Apprise logged is in the message.
        """
        import apprise

        kind = "success" if alert.state == "resolved" else _NOTIFY_TYPE[alert.severity]
        with apprise.LogCapture(level=logging.WARNING) as log:
            taken = self._apprise.notify(
                title=alert.title, body=alert.body, notify_type=apprise.NotifyType(kind), body_format="text"
            )
            said = _last_line(log.getvalue())
        if not taken:
            raise DeliveryFailed(self.name, said or "the service did not take it")


_NOTIFY_TYPE: Final = {Severity.CRITICAL: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}


def open_channels(urls: Sequence[str]) -> tuple[Channel, ...]:
    """One channel a URL, so that one that is down does not make the others repeat themselves.

    Raises:
        SettingsError: Apprise does not know one of them.
    """
    return tuple(AppriseChannel(url) for url in dict.fromkeys(urls))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].split(" - ", maxsplit=1)[-1] if lines else ""
