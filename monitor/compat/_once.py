"""One warning for each kind of thing that is not kept."""

from __future__ import annotations

import logging
from typing import Final

_LOG: Final = logging.getLogger("monitor")


class Once:
    """Says once what is not kept, and counts the rest in silence.

    Args:
        where: whose calls they are, for the warning.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._said: set[str] = set()

    def say(self, what: str, why: str) -> None:
        """Warn, the first time that this is said of this thing."""
        if what not in self._said:
            self._said.add(what)
            _LOG.warning("%s: %s %s", self._where, what, why)
