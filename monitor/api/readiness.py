"""Whether the server can do its work, looked at no more than once in a while, however many ask."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from typing import Final

import anyio
import anyio.to_thread

from monitor.domain import Json
from monitor.errors import RunNotFound, StoreError
from monitor.settings import Settings
from monitor.store import Store

FRESH_S: Final = 1.0
"""Seconds that an answer holds: whoever asks needs no token, so that asking must cost next to nothing."""
ROOM: Final = 8 * 2**20
"""Bytes that have to be free for a SQLite store to take points."""
_NOBODY: Final = "0" * 32


class Readiness:
    """The last answer, and the one who looks again."""

    def __init__(self) -> None:
        self._turn = anyio.Lock()
        self._hand = anyio.CapacityLimiter(1)
        self._looked_s = -FRESH_S
        self._found: Json | None = None

    async def ask(self, look: Callable[[], Json | None]) -> Json | None:
        """What was found, now or a moment ago.

        Args:
            look: called on a thread; None: the server cannot do its work.
        """
        async with self._turn:
            if time.monotonic() - self._looked_s >= FRESH_S:
                self._found = await anyio.to_thread.run_sync(look, limiter=self._hand)
                self._looked_s = time.monotonic()
            return self._found


def problem_of(store: Store, settings: Settings) -> str | None:
    """Why the store takes no points; None if it does."""
    try:
        with contextlib.suppress(RunNotFound):
            store.run(_NOBODY)
    except StoreError as error:
        return str(error)
    file = settings.sqlite_file
    if file is None:
        return None
    try:
        free = shutil.disk_usage(file.parent).free
    except OSError as error:
        return f"{file.parent}: {error.strerror}"
    if free < ROOM:
        return f"{file.parent} has {free} bytes free; make room for {ROOM} at least"
    return None if os.access(file, os.W_OK) else f"{file} cannot be written to"
