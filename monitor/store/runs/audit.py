"""Rows of the audit log."""

from __future__ import annotations

import secrets
import time

from monitor.domain import AuditEntry


def audit_row(entry: AuditEntry) -> dict[str, object]:
    """An entry as its row; the id grows with time, whoever writes it."""
    row = {**entry.to_dict(), "id": f"{time.time_ns():016x}{secrets.token_hex(4)}"}
    return row | {"who": entry.who[:250], "target": entry.target[:250], "address": entry.address[:64]}
