"""Who this process runs as."""

from __future__ import annotations

import getpass


def process_owner() -> str:
    """Whoever this process runs as, for the audit log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user, as in some containers
        return "unknown"
