"""When the server starts, ships the points that dead processes left in their journals."""

from __future__ import annotations

import logging
import threading
from urllib.parse import urlsplit

from monitor.errors import MonitorError
from monitor.settings import Settings
from monitor.shipping.sinks import HttpSink, Sink
from monitor.shipping.sync import Leftover, sync

_log = logging.getLogger(__name__)


def ship_in_background(settings: Settings, url: str) -> threading.Thread | None:
    """Send the journals below `settings.dir` that no live process holds, in a thread.

    Args:
        settings: the folder and the token.
        url: this server's address. The journals are sent over HTTP like any client's, so that they queue with the
            others.

    Returns:
        The thread, or None if there is nothing to send.
    """
    if not settings.journal_dir.is_dir():
        return None
    thread = threading.Thread(target=_ship, args=(settings, url), name="leftovers", daemon=True)
    thread.start()
    return thread


def _ship(settings: Settings, url: str) -> None:
    def open_sink(item: Leftover) -> Sink | None:
        """Skip journals meant for another server; `monitor sync` sends them there."""
        meant = item.server or (None if item.embedded else settings.server_url) or url
        return HttpSink(url, settings.token) if _place(meant) == _place(url) else None

    try:
        report = sync(settings.journal_dir, open_sink)
    except (MonitorError, OSError) as error:
        _log.warning("journals that ended processes left behind were not sent: %s; `monitor sync` tries again", error)
        return
    for item in report.left:
        _log.warning("journal of run %s (%s) was not sent: %s", item.run_name, item.run_id, item.problem)
    for item in (*report.sent, *report.left):
        if item.aside:
            _log.warning(
                "%d records of run %s (%s) were refused and left out, the last one as %s",
                item.aside, item.run_name, item.run_id, item.why_aside,
            )  # fmt: skip
    points = sum(item.points for item in report.sent)
    if points:
        _log.warning("%d points that ended processes left in their journals are stored now", points)


def _place(url: str) -> tuple[str, int | None]:
    """Host and port of an address. All names of this machine count as one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return ("127.0.0.1" if host in ("localhost", "::1") else host), parts.port
