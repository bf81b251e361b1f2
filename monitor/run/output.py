"""Copies of what a process prints: pieces of whole lines as a terminal shows them, limited in volume."""

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
# A training that prints without end must not fill the store.
_WINDOW_S: Final = 10.0
_WINDOW: Final = 2_000_000
"""Characters kept per window; of the rest, only the number of lines."""
_LONG: Final = 16_384
"""Characters after which an unfinished line is cut."""
_LAST: Final = 20  # lines, shown as the error of a failed command

Keep = Callable[[str, str], None]
"""Called with the stream's name and a piece of text."""


class Lines:
    """Splits a stream into pieces of whole lines.

    Args:
        stream: "stdout" or "stderr".
        keep: receives the pieces.

    Attributes:
        last: the last 20 lines that are not blank.
    """

    def __init__(self, stream: str, keep: Keep, clock: Callable[[], float] = monotonic) -> None:
        self.last: deque[str] = deque(maxlen=_LAST)
        self._stream, self._keep, self._clock = stream, keep, clock
        self._rest = ""
        self._until = self._spent = 0.0
        self._dropped = 0

    def write(self, text: str) -> None:
        """Add text. An unfinished line waits for its end."""
        self._rest += text
        if "\n" not in text and len(self._rest) < _LONG:
            return
        whole, found, rest = self._rest.rpartition("\n")
        if not found:
            whole, rest = self._rest, ""
        self._rest = rest
        self._pass([_as_shown(line) for line in whole.split("\n")])

    def close(self) -> None:
        """Pass on the unfinished line; nothing more will come."""
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
    """A decoder of UTF-8 that never fails: invalid bytes become escapes."""
    return codecs.getincrementaldecoder("utf-8")("backslashreplace")


def _as_shown(line: str) -> str:
    """What a terminal shows at the end of a line that was overwritten by carriage returns, as progress bars do."""
    plain = line.rstrip("\r")
    return plain.rpartition("\r")[2] if "\r" in plain else plain


class Tee:
    """Replaces `sys.stdout` or `sys.stderr`: passes everything on and keeps a copy.

    Args:
        stream: "stdout" or "stderr".
        keep: receives the pieces; its errors do not reach the caller of `print`.
    """

    def __init__(self, stream: str, keep: Keep) -> None:
        self._name = stream
        self._under: TextIO = getattr(sys, stream)
        self._lines = Lines(stream, keep)
        self._busy = threading.local()
        self._lock = threading.Lock()
        setattr(sys, stream, self)

    def write(self, text: str) -> int:
        """Write, and keep a copy. What `keep` itself prints is not copied, to avoid a loop."""
        done = self._under.write(text)
        if not getattr(self._busy, "now", False):
            self._busy.now = True
            try:
                with self._lock:
                    self._lines.write(text)
            except Exception:  # printing must not fail because of a copy
                pass
            finally:
                self._busy.now = False
        return done

    def writelines(self, lines: list[str]) -> None:
        """Write each line."""
        for line in lines:
            self.write(line)

    def restore(self) -> None:
        """Stop copying. Restores the original stream, unless someone else has replaced it since."""
        self._lines.close()
        if getattr(sys, self._name) is self:
            setattr(sys, self._name, self._under)

    def __getattr__(self, name: str) -> object:
        return getattr(self._under, name)
