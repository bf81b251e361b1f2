"""What a process writes, in pieces of whole lines, each as it stays on a terminal, and no more than a run takes."""

from __future__ import annotations

import codecs
import sys
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final, TextIO

from monitor.limits import MAX_TEXT

_MOST: Final = MAX_TEXT - 1
_WINDOW_S: Final = 10.0
_WINDOW: Final = 2_000_000
"""Characters that are kept of what is written in one window; of the rest only its length."""
_LONG: Final = 16_384
"""Characters after which a line that does not end is taken for one."""
_LAST: Final = 20

Keep = Callable[[str, str], None]
"""Is given the stream and a piece."""


class Lines:
    """Cuts one stream into pieces.

    Args:
        stream: "stdout" or "stderr".
        keep: where the pieces go.
        clock: seconds.

    Attributes:
        last: the last lines.
    """

    def __init__(self, stream: str, keep: Keep, clock: Callable[[], float] = monotonic) -> None:
        self.last: deque[str] = deque(maxlen=_LAST)
        self._stream, self._keep, self._clock = stream, keep, clock
        self._rest = ""
        self._until = self._spent = 0.0
        self._dropped = 0

    def write(self, text: str) -> None:
        """Take what was written; a line that is not ended waits for its end."""
        self._rest += text
        if "\n" not in text and len(self._rest) < _LONG:
            return
        whole, found, rest = self._rest.rpartition("\n")
        if not found:
            whole, rest = self._rest, ""
        self._rest = rest
        self._pass([_as_shown(line) for line in whole.split("\n")])

    def close(self) -> None:
        """Nothing more will come."""
        if self._rest:
            self._pass([_as_shown(self._rest)])
            self._rest = ""
        self._tell_dropped()

    def _pass(self, lines: list[str]) -> None:
        self.last.extend(line for line in lines if line.strip())
        text = "\n".join(lines) + "\n"
        now = self._clock()
        if now >= self._until:
            self._tell_dropped()
            self._until, self._spent = now + _WINDOW_S, 0.0
        if self._spent + len(text) > _WINDOW:
            self._dropped += len(lines)
            return
        self._spent += len(text)
        for at in range(0, len(text), _MOST):
            self._keep(self._stream, text[at : at + _MOST])

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._keep(self._stream, f"[{self._dropped:,} lines are not kept: more than a run takes at once]\n")
            self._dropped = 0


def decoder() -> codecs.IncrementalDecoder:
    """Reads bytes of any encoding as text."""
    return codecs.getincrementaldecoder("utf-8")("backslashreplace")


def _as_shown(line: str) -> str:
    """What stays of a line that was written over again and again, as bars are."""
    plain = line.rstrip("\r")
    return plain.rpartition("\r")[2] if "\r" in plain else plain


class Tee:
    """Stands for `sys.stdout` or `sys.stderr`: passes everything on, and keeps a copy of it.

    Args:
        stream: "stdout" or "stderr".
        keep: where the pieces go; what it raises is not raised to the writer.
    """

    def __init__(self, stream: str, keep: Keep) -> None:
        self._name = stream
        self._under: TextIO = getattr(sys, stream)
        self._lines = Lines(stream, keep)
        self._busy = threading.local()
        self._lock = threading.Lock()
        setattr(sys, stream, self)

    def write(self, text: str) -> int:
        """Write, and keep a copy; what is written while a copy is being kept is not copied."""
        done = self._under.write(text)
        if not getattr(self._busy, "now", False):
            self._busy.now = True
            try:
                with self._lock:
                    self._lines.write(text)
            except Exception:  # to print must not fail because of a copy
                pass
            finally:
                self._busy.now = False
        return done

    def writelines(self, lines: list[str]) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def restore(self) -> None:
        """Stop copying. The original stream is restored, unless it was replaced in the meantime."""
        self._lines.close()
        if getattr(sys, self._name) is self:
            setattr(sys, self._name, self._under)

    def __getattr__(self, name: str) -> object:
        return getattr(self._under, name)
