"""Who sends to a channel: the worker that holds it, for as long as it says again and again that it is there."""

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
"""Seconds after which a worker says again that it is there; a third of a lease, so that one may get lost."""

_log = logging.getLogger(__name__)


class Holding(Protocol):
    """What a hold needs of the store."""

    def hold_channel(self, channel: str, holder: str) -> bool:
        """Become the one who sends to a channel, or stay it for another while."""
        ...

    def release_channel(self, channel: str, holder: str) -> None:
        """Let others send to it."""
        ...


class Hold:
    """A channel that is held, for as long as the store has said.

    Args:
        store: where the lease is.
        channel: the store's name of it.
        holder: a name that no other worker has.
    """

    def __init__(self, store: Holding, channel: str, holder: str) -> None:
        self._store, self._channel, self._holder = store, channel, holder
        self._until_s = 0.0

    @property
    def lasts(self) -> bool:
        """False once another worker may have the channel, as after a halt of this process: send nothing more then."""
        return time.monotonic() < self._until_s

    def extend(self) -> bool:
        """Have it last for another lease; False where another worker has the channel."""
        asked_s = time.monotonic()
        mine = self._store.hold_channel(self._channel, self._holder)
        self._until_s = asked_s + LEASE_MS / 1000 if mine else 0.0
        return mine

    def keep(self, done: threading.Event) -> None:
        """Extend it until that is done."""
        while not done.wait(BEAT_S):
            try:
                if not self.extend():
                    _log.warning("channel %s has passed to another server; a message may arrive twice", self._channel)
                    return
            except StoreError as error:
                _log.warning("the hold of channel %s could not be extended: %s", self._channel, error)


@contextlib.contextmanager
def held(store: Holding, channel: str, holder: str) -> Iterator[Hold | None]:
    """Hold a channel, however long its receiver takes.

    The lease is short, so that another server takes over soon after this one dies. A thread extends it meanwhile.

    Yields:
        None where another worker holds the channel.
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
        thread.join()  # else its last beat could come after the release, and keep the others out for a lease
        store.release_channel(channel, holder)
