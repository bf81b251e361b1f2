"""The few lines that a run prints for its user: where it logs to, and how it ended.

Printed to standard error in a terminal or a notebook only, so log files, pipes and tests stay clean.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.domain import Recommendation


def begun(name: str, server: str | None, *, offline: bool) -> None:
    """Print where the run logs to."""
    where = server or (
        "the journal; `monitor sync` sends it" if offline else "the embedded store; `monitor up` shows it"
    )
    _say(f"{name} is logged to {where}")


def also_open(names: Sequence[str]) -> None:
    """Name the runs that a notebook or an interactive session left open: nothing else ends them before it exits."""
    if names and (hasattr(sys, "ps1") or "ipykernel" in sys.modules):
        _say(f"still open: {', '.join(names)}; finish() ends a run, and so does the end of a `with` block")


def address(url: str, *, quiet: bool) -> str:
    """Print the address of the run page, and return it."""
    if not quiet:
        _say(url)
    return url


def ended(name: str, status: str, told: Recommendation | None, url: str | None) -> None:
    """Print how the run ended, the last advice, and the address of its page."""
    _say(f"{name} {status}{f': {told.reason}' if told is not None else ''}{f' {url}' if url else ''}")


def _say(line: str) -> None:
    with contextlib.suppress(Exception):  # a closed or replaced stream must not stop the training
        if sys.stderr.isatty() or "ipykernel" in sys.modules:
            sys.stderr.write(f"monitor: {line}\n")
