"""What the logging process sees of the shipping of its journal, whether a thread or another process does it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

from monitor.domain import Reply
from monitor.journal.notices import LOGGER


class Shipment:
    """One writer's journal on its way to the sink.

    Args:
        on_reply: called with each reply, in another thread.
        on_links: called once, after the first reply, with the addresses of the server's other parts.

    Attributes:
        acked: number of records that are stored.
        refused: the receiver's permanent refusal, or None.
        trouble: the last error, while it is being retried; None if all is well.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        writer: str,
        *,
        on_reply: Callable[[Reply], None],
        on_links: Callable[[Mapping[str, str]], None] | None = None,
    ) -> None:
        self.folder, self.run_id, self.writer = folder, run_id, writer
        self.acked = 0
        self.refused: Exception | None = None
        self.trouble: Exception | None = None
        self._on_reply, self._on_links = on_reply, on_links
        self._changed = threading.Condition()

    def start(self) -> None:
        """Start shipping."""
        raise NotImplementedError

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Stop. False if it is still in a call that does not return."""
        raise NotImplementedError

    def hurry(self, *, draining: bool) -> None:
        """Send what is there now.

        Args:
            draining: True while a caller waits for it: failures are then retried sooner.
        """
        raise NotImplementedError

    def alive(self) -> bool:
        """True while something ships."""
        raise NotImplementedError

    def drain(self, target: int, timeout_s: float, *, patient: bool = True) -> bool:
        """Send at once, and wait until `target` records are acknowledged.

        Args:
            timeout_s: most seconds to wait.
            patient: False to give up on the first failure of the receiver.

        Returns:
            False if time ran out or the receiver refused.
        """
        deadline = monotonic() + timeout_s
        self.hurry(draining=True)
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self.acked >= target
                    or self.refused is not None
                    or not self.alive()
                    or not (patient or self.trouble is None)
                ),
                max(0.0, deadline - monotonic()),
            )
        self.hurry(draining=False)
        return self.acked >= target

    def first_answer(self, timeout_s: float) -> None:
        """Wait for the receiver's first answer, or for a failure to reach it."""
        self.hurry(draining=False)
        with self._changed:
            self._changed.wait_for(
                lambda: self.acked > 0 or self.refused is not None or self.trouble is not None, timeout_s
            )

    def say(self, text: str, unexpected: Exception | None = None) -> None:
        """Log a warning."""
        with contextlib.suppress(Exception):  # the user's logging filters and handlers may raise anything
            LOGGER.warning("run %s: %s", self.run_id[:8], text, exc_info=unexpected)

    def note(
        self, *, acked: int | None = None, refused: Exception | None = None, trouble: Exception | None = None
    ) -> None:
        """Record progress and wake up those who wait for it.

        Omitting `trouble` clears it. An acknowledgement clears `refused`.
        """
        with self._changed:
            self.refused = refused if refused is not None or acked is not None else self.refused
            self.acked = self.acked if acked is None else acked
            self.trouble = trouble
            self._changed.notify_all()
