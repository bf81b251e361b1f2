"""What a run says on the terminal, or in the notebook, of who started it: where it goes, and how it ended.

A line is written to standard error where somebody looks at it; a log file, a pipe and a test see none.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.domain import Recommendation


def begun(name: str, server: str | None, *, offline: bool) -> None:
    """Say where what is logged goes."""
    where = server or (
        "the journal; `monitor sync` sends it" if offline else "the embedded store; `monitor up` shows it"
    )
    _say(f"{name} is logged to {where}")


def address(url: str, *, quiet: bool) -> str:
    """Say where the run's page is, once the server has said so; the address."""
    if not quiet:
        _say(url)
    return url


def ended(name: str, status: str, told: Recommendation | None, url: str | None) -> None:
    """Say how the run ended, what was advised, and where it is to be seen."""
    _say(f"{name} {status}{f': {told.reason}' if told is not None else ''}{f' {url}' if url else ''}")


def _say(line: str) -> None:
    with contextlib.suppress(Exception):  # a stream that is closed or replaced is no reason to stop a training
        if sys.stderr.isatty() or "ipykernel" in sys.modules:
            sys.stderr.write(f"monitor: {line}\n")
