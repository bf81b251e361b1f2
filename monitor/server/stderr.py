"""Standard error that never holds up the server: a pipe that nobody reads must not stop ingest.

A write to a full pipe blocks, and with it the thread that logs, which may be the one that answers all requests. So one
thread writes, and the others leave their text with it. What does not fit is dropped, counted, and reported.
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import select
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final, TextIO, cast

MOST: Final = 1 << 20
"""Characters that wait to be written; about 10,000 lines."""
DRAIN_S: Final = 1.0
"""Seconds that the end of the server waits for them."""


class Unblocked(io.TextIOBase):
    """A text stream whose `write` returns at once.

    Args:
        descriptor: where the text goes.
        notice: says how many lines were dropped; it is written once there is room again.

    Attributes:
        lost: lines that were dropped.
    """

    def __init__(self, descriptor: int, notice: Callable[[int], str]) -> None:
        self.lost = 0
        self._descriptor, self._notice = descriptor, notice
        self._waiting = self._reported = 0
        self._texts: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._turn = threading.RLock()  # reentrant: a signal handler may log in the middle of `write`
        self._thread = threading.Thread(target=self._write_out, name="stderr", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Leave the text to be written, or drop it."""
        with self._turn:
            if self._waiting + len(text) > MOST:
                self.lost += text.count("\n")
            else:
                self._waiting += len(text)
                self._texts.put(text)
        return len(text)

    def lines_lost(self) -> int:
        """Lines that were dropped."""
        return self.lost

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The descriptor that the text goes to."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether that is a terminal."""
        return os.isatty(self._descriptor)

    def end(self) -> None:
        """Wait a little until everything is written. The thread of a stuck pipe is left behind."""
        self._texts.put(None)
        self._thread.join(DRAIN_S)

    def _write_out(self) -> None:
        while (text := self._texts.get()) is not None:
            unwritten = self._put_out(text)
            with self._turn:
                self._waiting -= len(text)
                self.lost += unwritten
            if not unwritten and self._texts.empty():
                self._report()
        self._report()

    def _report(self) -> None:
        """Say where lines are missing: all that were kept are written by now."""
        if (lost := self.lost) > self._reported and not self._put_out(self._notice(lost - self._reported)):
            self._reported = lost

    def _put_out(self, text: str) -> int:
        """Write all of it. Returns how many lines were not written."""
        left = text.encode("utf-8", "backslashreplace")
        try:
            while left:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except BlockingIOError:  # another process has made the terminal or pipe non-blocking
                    select.select([], [self._descriptor], [])
        except OSError:  # nobody can read it any more, or the disk is full
            return left.count(b"\n")
        return 0


@contextlib.contextmanager
def unblocked(notice: Callable[[int], str]) -> Iterator[Unblocked | None]:
    """Replace `sys.stderr`, so that warnings, tracebacks and other packages' logs go the same path.

    Yields:
        The stream; None if standard error is not a file of the operating system, and is left as it is.
    """
    before = sys.stderr
    try:
        descriptor = before.fileno()
    except (AttributeError, OSError):
        yield None
        return
    before.flush()
    stream = Unblocked(descriptor, notice)
    sys.stderr = cast("TextIO", stream)
    try:
        yield stream
    finally:
        sys.stderr = before
        stream.end()
