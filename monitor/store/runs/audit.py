"""Rows of the audit log."""

from __future__ import annotations

import secrets
import time

from sqlalchemy import Connection

from monitor.domain import AuditEntry, Caller
from monitor.store.sql.schema import AUDIT


def record(
    connection: Connection, action: str, target: str, by: Caller, now_ms: int, *, project: str | None, detail: str = ""
) -> None:
    """Record who changed something that belongs to no run, in the transaction of the change.

    Args:
        action: such as "silence.create"; at most 32 characters.
        target: the id or the name of what was changed.
        project: the only project that it concerns; None for several.
    """
    entry = AuditEntry(
        time_ms=now_ms, who=by.name, action=action, target=target, project=project, address=by.address, detail=detail
    )
    connection.execute(AUDIT.insert(), audit_row(entry))


def audit_row(entry: AuditEntry) -> dict[str, object]:
    """An entry as its row. The id grows with time across all processes."""
    row = {**entry.to_dict(), "id": f"{time.time_ns():016x}{secrets.token_hex(4)}"}
    return row | {"who": entry.who[:250], "target": entry.target[:250], "address": entry.address[:64]}
