"""Points that processes which are gone left in their journals: shipped when the server starts."""

from __future__ import annotations

import logging
import threading

from monitor.client.sinks import HttpSink
from monitor.client.sync import sync
from monitor.errors import MonitorError
from monitor.settings import Settings

_log = logging.getLogger(__name__)


def ship_in_background(settings: Settings, url: str) -> threading.Thread | None:
    """Send the journals below `settings.dir` that no living process holds, on a thread of their own.

    Args:
        settings: the folder and the token. Where they name another server to log to, the journals are that server's,
            and are left alone.
        url: this server's address. It is sent to as any client would, so that it takes its turn with the others.

    Returns:
        The thread, or None where there is nothing that is ours to send.
    """
    elsewhere = settings.server_url is not None and settings.server_url.rstrip("/") != url
    if elsewhere or not settings.journal_dir.is_dir():
        return None
    thread = threading.Thread(target=_ship, args=(settings, url), name="leftovers", daemon=True)
    thread.start()
    return thread


def _ship(settings: Settings, url: str) -> None:
    try:
        report = sync(settings.journal_dir, lambda: HttpSink(url, settings.token))
    except (MonitorError, OSError) as error:
        _log.warning("journals that ended processes left behind were not sent: %s; `monitor sync` tries again", error)
        return
    for item in report.left:
        _log.warning("journal of run %s (%s) was not sent: %s", item.run_name, item.run_id, item.problem)
    points = sum(item.points for item in report.sent)
    if points:
        _log.warning("%d points that ended processes left in their journals are stored now", points)
