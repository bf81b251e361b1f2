"""Turns SIGINT and SIGTERM into an event that the main thread waits for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def until_told_to_stop(stop: threading.Event | None = None) -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets. A second one has its usual effect.

    Args:
        stop: an existing event to use, which the caller may set too. In any thread but the main one, signals are left
            alone and only the event counts.
    """
    event = stop or threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, _: FrameType | None) -> None:
        event.set()
        signal.signal(number, before[signal.Signals(number)] or signal.SIG_DFL)

    for number in before:
        signal.signal(number, handle)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
