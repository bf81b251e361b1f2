"""One warning for each kind of thing that is not stored."""

from __future__ import annotations

import logging
from typing import Final

_LOG: Final = logging.getLogger("monitor")


class Once:
    """Warns once about each thing that is not stored.

    Args:
        where: the API, named in the warning.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._said: set[str] = set()

    def say(self, what: str, why: str) -> None:
        """Warn, unless this thing was already warned about."""
        if what not in self._said:
            self._said.add(what)
            _LOG.warning("%s: %s %s", self._where, what, why)
