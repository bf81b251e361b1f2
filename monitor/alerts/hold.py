"""Who sends to a channel: the worker that holds it, for as long as it says again and again that it is there."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Final, Protocol

from monitor.errors import StoreError

BEAT_S: Final = 2.0
"""Seconds after which a worker says again that it is there; a third of the store's lease, so that one may get lost."""

_log = logging.getLogger(__name__)


class Holding(Protocol):
    """What a hold needs of the store."""

    def hold_channel(self, channel: str, holder: str) -> bool:
        """Become the one who sends to a channel, or stay it for another while."""
        ...

    def release_channel(self, channel: str, holder: str) -> None:
        """Let others send to it."""
        ...


@contextlib.contextmanager
def held(store: Holding, channel: str, holder: str) -> Iterator[bool]:
    """Hold a channel, however long its receiver takes.

    The lease is short, so that another server takes over soon after this one dies. A thread extends it meanwhile.

    Yields:
        False where another worker holds the channel.
    """
    if not store.hold_channel(channel, holder):
        yield False
        return
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(store, channel, holder, done), name="hold", daemon=True)
    thread.start()
    try:
        yield True
    finally:
        done.set()
        thread.join()  # else its last beat could come after the release, and keep the others out for a lease
        store.release_channel(channel, holder)


def _beat(store: Holding, channel: str, holder: str, done: threading.Event) -> None:
    while not done.wait(BEAT_S):
        try:
            if not store.hold_channel(channel, holder):
                _log.warning("another server has taken channel %s over; what is being sent may arrive twice", channel)
                return
        except StoreError as error:
            _log.warning("the hold of channel %s could not be extended: %s", channel, error)
