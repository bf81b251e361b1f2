"""The lock on which the processes that write to one SQLite file queue.

SQLite's busy handler polls with growing delays, up to 100 ms. So the writer that has waited longest polls least often,
and among many it may wait for seconds. Processes that wait for a file lock are woken at once. So a writer first takes
such a lock, on a file next to the database. It is only a courtesy: SQLite's own lock still decides. If the file cannot
be created, or the lock does not come in time, the writer continues with SQLite's lock alone.

It is a POSIX `fcntl` lock, which belongs to the process: it is released when the process dies, and not inherited by a
fork.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

with contextlib.suppress(ImportError):  # not on Windows
    import fcntl

_LOCKS: Final = os.name == "posix"


class Turns:
    """The queue of one database. Used by one thread of the process at a time.

    Args:
        path: the lock file; created on first use, never removed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    @contextlib.contextmanager
    def turn(self, patience_s: float) -> Iterator[None]:
        """Wait for the lock, hold it, release it.

        Args:
            patience_s: most seconds to wait.
        """
        held = self._take(patience_s)
        try:
            yield
        finally:
            if held:
                with contextlib.suppress(OSError):
                    fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _take(self, patience_s: float) -> bool:
        if not _LOCKS:
            return False
        try:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._wait(patience_s)
        except OSError:
            return False
        return True

    def _wait(self, patience_s: float) -> bool:
        """Wait in a thread, because waiting for a lock has no timeout."""
        waiter = _Waiter(self._fd)
        if waiter.came(patience_s):
            return True
        self._fd = -1  # the waiter closes it once it has the lock
        return False


class _Waiter:
    """Waits for a lock as long as the caller wants it."""

    def __init__(self, fd: int) -> None:
        self._fd, self._left, self._here = fd, False, threading.Event()
        self._either = threading.Lock()
        threading.Thread(target=self._lock, name="monitor-turn", daemon=True).start()

    def came(self, patience_s: float) -> bool:
        """True if the lock came in time. Otherwise it is released as soon as it comes."""
        if not self._here.wait(patience_s):
            with self._either:
                self._left = not self._here.is_set()
        return not self._left

    def _lock(self) -> None:
        with contextlib.suppress(OSError):
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
        with self._either:
            if self._left:
                os.close(self._fd)
            self._here.set()
