"""Readiness, checked at most once per interval however many clients ask."""

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
"""Seconds for which a result is cached. Probes need no token, so asking must cost next to nothing."""
ROOM: Final = 8 * 2**20
"""Free bytes that a SQLite store needs to accept points."""
_NOBODY: Final = "0" * 32


class Readiness:
    """The cached result, and the check that renews it."""

    def __init__(self) -> None:
        self._turn = anyio.Lock()
        self._hand = anyio.CapacityLimiter(1)
        self._looked_s = -FRESH_S
        self._found: Json | None = None

    async def ask(self, look: Callable[[], Json | None]) -> Json | None:
        """The result, at most `FRESH_S` old.

        Args:
            look: the check, run on a thread; None means that the server is not ready.
        """
        async with self._turn:
            if time.monotonic() - self._looked_s >= FRESH_S:
                self._found = await anyio.to_thread.run_sync(look, limiter=self._hand)
                self._looked_s = time.monotonic()
            return self._found


def problem_of(store: Store, settings: Settings) -> str | None:
    """Why the store accepts no points; None if it does."""
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
