"""The courier process: ships the requested journals and reports progress.

It ends with the process that started it, however that ends, after sending what that process left behind.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from monitor.journal.notices import LOGGER
from monitor.settings import Settings
from monitor.shipping.courier import error_to
from monitor.shipping.shipper import Shipper
from monitor.shipping.sinks import Destination

_IDLE_S: Final = 60.0
"""Seconds without anything to ship after which it exits. The next run starts another one."""
_LOOK_S: Final = 2.0
"""Seconds between checks that the parent is alive.

A closed pipe is not enough: a child of the parent may hold it open.
"""
_PATIENCE_S: Final = 120.0
"""Seconds without progress after which a courier whose parent is gone leaves the rest to `monitor sync`.

It continues while anything is stored: the receiver may be slow and the backlog long.
"""
_AGAIN_S: Final = 2.0
"""Seconds between retries."""
_NICE: Final = 5
"""Niceness, so that the training goes first if cores are scarce: it gets three times the weight. With ten times, points
and alerts would wait for seconds behind data loaders. It does not apply to an embedded store; see `_load`."""


class Delivery(Shipper):
    """A shipper that reports what it does to the parent process."""

    def __init__(self, number: int, order: Mapping[str, Any], answers: Answers) -> None:
        settings = Settings(**order["settings"])
        self.destination = Destination(settings, order["server"])
        super().__init__(
            Path(order["folder"]),
            order["run_id"],
            order["writer"],
            self.destination,
            interval_s=settings.ship_interval_s,
            heartbeat_s=settings.heartbeat_s,
            on_reply=lambda reply: answers.write({"id": number, "reply": reply.to_dict()}),
            on_links=lambda links: answers.write({"id": number, "links": dict(links)}),
            joins=order["joins"],
        )
        self.number, self._answers = number, answers
        self.hurry(draining=order["draining"])

    def note(
        self, *, acked: int | None = None, refused: Exception | None = None, trouble: Exception | None = None
    ) -> None:
        """Report progress."""
        super().note(acked=acked, refused=refused, trouble=trouble)
        found = {"acked": self.acked, "refused": error_to(self.refused), "trouble": error_to(trouble)}
        self._answers.write({"id": self.number, **found})

    def say(self, text: str, unexpected: Exception | None = None) -> None:
        """Pass on a warning."""
        more = f" ({type(unexpected).__name__})" if unexpected is not None else ""
        self._answers.write({"id": self.number, "say": text + more})

    def say_left(self, why: str) -> None:
        """Warn that records are left, on standard error, which this process shares with its parent."""
        LOGGER.warning("run %s: not all of it is sent (%s); `monitor sync` sends the rest", self.run_id[:8], why)

    def _end(self, ack: Any) -> None:
        super()._end(ack)
        self._answers.write({"id": self.number, "ended": True})


class Answers:
    """The pipe to the parent.

    Standard output is redirected to standard error, so that nothing else gets into the pipe.
    """

    def __init__(self) -> None:
        self._fd = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def write(self, message: Mapping[str, object]) -> None:
        """Write a message. The parent may be gone."""
        data = json.dumps(message).encode() + b"\n"
        with self._lock, suppress(OSError):
            while data:
                data = data[os.write(self._fd, data) :]


def main() -> None:
    """Ship until the parent is gone, or has had nothing to ship for a while."""
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, signal.SIG_IGN)  # it ends after its parent, which may leave something to send
    gc.disable()  # `_load` enables it again
    answers = Answers()
    deliveries: dict[int, Delivery] = {}
    for order in _orders(deliveries):
        number = order.get("id", 0)
        if order["do"] == "ship":
            _load(embedded=order["server"] is None)
            deliveries[number] = Delivery(number, order, answers)
            deliveries[number].start()
        elif number in deliveries and order["do"] == "hurry":
            deliveries[number].hurry(draining=order["draining"])
        elif number in deliveries and order["do"] == "stop":
            deliveries.pop(number).stop(0.0)
    _leave(deliveries)
    os._exit(0)


def _load(*, embedded: bool) -> None:
    """Import what shipping needs, with the garbage collector off: it would scan the growing heap again and again."""
    import monitor.journal.read.records

    if embedded:
        import monitor.ingest  # noqa: F401  # needed by the sink, which would import it later
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
        # Only now: on busy cores a nice process would need seconds to import, and the first point would wait. And not
        # with an embedded store: a nice writer that busy cores hold up would make all others wait for its lock.
        if hasattr(os, "nice") and not embedded:
            os.nice(_NICE)


def _orders(deliveries: Mapping[int, Delivery]) -> Iterator[Mapping[str, Any]]:
    """The parent's messages, until it is gone or has been silent for long."""
    held, parent, heard = b"", 0, monotonic()
    while True:
        # On Windows select() takes no pipes, so the end of the input is the only sign there.
        if sys.platform != "win32" and not select.select([0], [], [], _LOOK_S)[0]:
            idle = not deliveries and monotonic() - heard > _IDLE_S
            if idle or (parent and os.getppid() != parent):
                return
            continue
        data = os.read(0, 1 << 16)
        if not data:
            return
        heard = monotonic()
        *lines, held = (held + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if order["do"] == "begin":
                parent = order["parent"]
            else:
                yield order


def _leave(deliveries: Mapping[int, Delivery]) -> None:
    """Send what the parent left behind when it was killed. A process that ended by itself leaves nothing."""
    for delivery in deliveries.values():
        delivery.stop(_PATIENCE_S)
    for delivery in deliveries.values():
        left = _send_rest(delivery)
        if left:
            delivery.say_left(left)


def _send_rest(delivery: Delivery) -> str | None:
    """Send the journals of a dead parent and its other writers. Returns why something is left, or None."""
    from monitor.shipping.sync import Leftover, SyncReport, ship_run

    stored_at, why = monotonic(), None

    def progress(_: Leftover, __: int) -> None:
        nonlocal stored_at
        stored_at = monotonic()

    while delivery.folder.is_dir():
        if monotonic() - stored_at > _PATIENCE_S:
            return why or "another process holds it"
        try:
            until = stored_at + _PATIENCE_S
            report = ship_run(delivery.folder.parent, delivery.destination, until=until, progress=progress)
        except Exception as error:  # retried until patience runs out; then `monitor sync` can send it
            why, report = str(error), SyncReport()
        own = [item for item in report.left if item.folder == delivery.folder]
        if own:
            why = own[0].problem
            if own[0].refused:
                return why
        # The kernel has closed the dead parent's pipe, but may not have released its lock yet.
        sleep(_AGAIN_S if report.left or why else 0.05)
    return None
