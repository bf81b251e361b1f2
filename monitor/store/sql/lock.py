"""The lock for which the processes that write to one SQLite file queue.

SQLite lets a writer that finds the file locked sleep, longer each time, up to 100 ms: whoever has waited longest looks
least often, and may wait for seconds among many. The kernel wakes those who wait for a file lock as soon as it is
given back. So a writer first takes a lock of this kind on a file next to the database. It is a courtesy, and SQLite's
own lock remains the one that counts: where the file cannot be made, or a turn does not come in time, the writer goes
on and meets SQLite's lock as before.

The lock is one that belongs to the process (POSIX `fcntl`): it goes when the process dies, and a fork inherits none.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

with contextlib.suppress(ImportError):  # Windows has none
    import fcntl

_LOCKS: Final = os.name == "posix"


class Turns:
    """The queue of one database; used by one thread of the process at a time.

    Args:
        path: the lock file; made when it is first needed, never removed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    @contextlib.contextmanager
    def turn(self, patience_s: float) -> Iterator[None]:
        """Wait for this process's turn, hold it, give it back.

        Args:
            patience_s: seconds to wait for it, at most.
        """
        held = self._take(patience_s)
        try:
            yield
        finally:
            if held:
                with contextlib.suppress(OSError):
                    fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the file back."""
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
        """Wait on a thread, as a wait for a lock has no time limit of its own."""
        waiter = _Waiter(self._fd)
        if waiter.came(patience_s):
            return True
        self._fd = -1  # the waiter closes it when its turn comes
        return False


class _Waiter:
    """Waits for a lock while a caller wants it."""

    def __init__(self, fd: int) -> None:
        self._fd, self._left, self._here = fd, False, threading.Event()
        self._either = threading.Lock()
        threading.Thread(target=self._lock, name="monitor-turn", daemon=True).start()

    def came(self, patience_s: float) -> bool:
        """True where the lock came in time; otherwise it is given back as soon as it comes."""
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
