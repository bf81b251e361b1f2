"""Where alerts go: the `Channel` protocol, Apprise behind it, and a channel in memory for tests."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from monitor.alerts.content import PICTURE, as_html, as_markdown, as_text
from monitor.alerts.guard import Policy, Private, current, guard_apprise, guarded
from monitor.alerts.messages import Message, body_fields, inert
from monitor.alerts.routes import Route
from monitor.domain import Alert, Severity
from monitor.errors import DeliveryFailed, SettingsError

EVERYTHING: Final = Route()
"""The route of a channel without one of its own."""


class Channel(Protocol):
    """A destination of alerts.

    Attributes:
        name: what log lines and errors call it; holds no password and no token.
    """

    @property
    def name(self) -> str:
        """Its name in log lines and errors."""

    def send(self, alert: Alert) -> None:
        """Send an alert; return once the receiver has taken it.

        Args:
            alert: what the server sends is a `Message`.

        Raises:
            DeliveryFailed: the receiver did not take it; it may be sent again.
        """


class MemoryChannel:
    """Keeps the alerts it is sent, in memory.

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
        private: which addresses that are not public it may reach over HTTP; see `guard.py`.
        name: what it is called; the URL without its secrets where that is None.
        trusted: the server's own settings name it; others read no files, and all their sockets are checked.

    Raises:
        SettingsError: Apprise does not know the URL, or is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        private: Private = "named",
        name: str | None = None,
        route: Route = EVERYTHING,
        trusted: bool = True,
    ) -> None:
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
        self.name: str = name or service.url(privacy=True).split("?", maxsplit=1)[0]
        self.route = route
        self.key = hashlib.sha256(url.encode()).hexdigest()[:32]
        host = getattr(service, "host", None)
        self._policy = Policy(private, frozenset({str(host).strip("[]").lower()} if host else ()), trusted)
        self._service = service
        self._extras = dict(getattr(service, "payload_extras", {}))
        self._apprise = apprise.Apprise(asset=apprise.AppriseAsset(app_id="lossmonitor", app_desc="Training monitor"))
        self._apprise.add(service)

    def send(self, alert: Alert) -> None:
        """Send title and body; resolved alerts are sent as success, critical ones as failure.

        Raises:
            DeliveryFailed: the service did not take it; what Apprise logged is in the message.
        """
        import apprise

        guard_apprise()
        self._add_fields(alert)
        kind = "success" if alert.state == "resolved" else _NOTIFY_TYPE[alert.severity]
        form = _form(self._service)
        with guarded(self._policy), _heard(self._policy) as lines:
            taken = self._apprise.notify(
                title=inert(alert.title),
                body=_BODIES[form](alert),
                notify_type=apprise.NotifyType(kind),
                body_format=form,
                attach=self._picture(alert),
            )
        if not taken:
            said = (
                self._policy.refused or self._policy.answered or (lines[-1] if lines else "the service did not take it")
            )
            raise DeliveryFailed(self.name, said)

    def _picture(self, alert: Alert) -> object:
        """The picture as an attachment; None if there is none or the service takes none."""
        picture = alert.picture if isinstance(alert, Message) else None
        if picture is None or not getattr(self._service, "attachment_support", False):
            return None
        from apprise import AppriseAttachment
        from apprise.attachment.memory import AttachMemory

        found = AppriseAttachment()
        found.add(AttachMemory(content=picture, name=PICTURE, mimetype="image/png"))
        return found

    def _add_fields(self, alert: Alert) -> None:
        """Add the message's fields to a webhook's body; fields from the URL are kept."""
        if isinstance(alert, Message) and self._service.__class__.__name__ == "NotifyJSON":
            self._service.payload_extras = body_fields(alert) | self._extras


_BODIES: Final = {"text": as_text, "markdown": as_markdown, "html": as_html}


def _form(service: object) -> str:
    """The text format of a service: the one its URL asks for, else its preferred one."""
    found = getattr(service, "_format_override", None) or getattr(service, "notify_format", "text")
    first = next(iter(found)) if isinstance(found, tuple | list) else found
    form = str(getattr(first, "value", first))
    return form if form in _BODIES else "text"


_NOTIFY_TYPE: Final = {Severity.CRITICAL: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}


def open_urls(urls: Sequence[str], *, private: Private = "named") -> tuple[Channel, ...]:
    """Open one channel for each URL, so that one that is down does not make the others repeat messages.

    Args:
        private: which addresses that are not public they may reach.

    Raises:
        SettingsError: Apprise does not know one of them.
    """
    return tuple(AppriseChannel(url, private=private) for url in dict.fromkeys(urls))


def key_of(channel: Channel) -> str:
    """The store's key of a channel: its `key` if it has one, else its name; at most 64 characters."""
    return str(getattr(channel, "key", channel.name))[:64]


@contextlib.contextmanager
def _heard(policy: Policy) -> Iterator[list[str]]:
    """Collect what Apprise warns of under a policy; other channels may be sending meanwhile."""
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if current() is policy:
                lines.append(record.getMessage().strip())

    logger, listener = logging.getLogger("apprise"), Listener(logging.WARNING)
    logger.addHandler(listener)
    try:
        yield lines
    finally:
        logger.removeHandler(listener)
