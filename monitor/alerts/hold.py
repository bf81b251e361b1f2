"""The lease on a channel: one worker at a time sends to it, for as long as it renews the lease."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from typing import Final, Protocol

from monitor.domain.clocks import LEASE_MS
from monitor.errors import StoreError

BEAT_S: Final = 2.0
"""Seconds between renewals; a third of the lease, so that one may fail."""

_log = logging.getLogger(__name__)


class Holding(Protocol):
    """What a hold needs of the store."""

    def hold_channel(self, channel: str, holder: str) -> bool:
        """Acquire the lease of a channel, or renew it."""

    def release_channel(self, channel: str, holder: str) -> None:
        """Give the lease back."""


class Hold:
    """The lease of one worker on one channel.

    Args:
        store: holds the lease.
        channel: the store's key of the channel.
    """

    def __init__(self, store: Holding, channel: str, holder: str) -> None:
        self._store, self._channel, self._holder = store, channel, holder
        self._until_s = 0.0

    @property
    def lasts(self) -> bool:
        """False once the lease may have expired, as after this process was suspended: send nothing more then."""
        return time.monotonic() < self._until_s

    def extend(self) -> bool:
        """Renew the lease; False if another worker has it."""
        asked_s = time.monotonic()
        mine = self._store.hold_channel(self._channel, self._holder)
        self._until_s = asked_s + LEASE_MS / 1000 if mine else 0.0
        return mine

    def keep(self, done: threading.Event) -> None:
        """Renew the lease until the event is set."""
        while not done.wait(BEAT_S):
            try:
                if not self.extend():
                    _log.warning("channel %s has passed to another server; a message may arrive twice", self._channel)
                    return
            except StoreError as error:
                _log.warning("the hold of channel %s could not be extended: %s", self._channel, error)


@contextlib.contextmanager
def held(store: Holding, channel: str, holder: str) -> Iterator[Hold | None]:
    """Hold a channel for as long as its receiver takes.

    The lease is short, so that another server takes over soon if this one dies. A thread renews it meanwhile.

    Yields:
        None if another worker holds the channel.
    """
    hold = Hold(store, channel, holder)
    if not hold.extend():
        yield None
        return
    done = threading.Event()
    thread = threading.Thread(target=hold.keep, args=(done,), name="hold", daemon=True)
    thread.start()
    try:
        yield hold
    finally:
        done.set()
        thread.join()  # a renewal after the release would lock the others out for a whole lease
        store.release_channel(channel, holder)
