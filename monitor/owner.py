"""Who this process runs as."""

from __future__ import annotations

import getpass


def process_owner() -> str:
    """The user name this process runs as, for the audit log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # the uid has no user name, as in some containers
        return "unknown"
