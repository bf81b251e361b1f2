"""Alerts with a state, silences, channels added through the API, thresholds, and what each channel said of a message.

The alerts of the runs so far are made from the outbox: one a rule and run, as its newest message says.
"""

import hashlib
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

LIVE = ("running", "stalled", "lost")


def _run_id() -> sa.Column[str]:
    return sa.Column(
        "run_id", sa.String(32), sa.ForeignKey("monitor_runs.run_id", ondelete="CASCADE"), primary_key=True
    )


def upgrade() -> None:
    op.create_table(
        "monitor_alerts",
        _run_id(),
        sa.Column("key", sa.String(250), primary_key=True),
        sa.Column("alert_id", sa.String(16), nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("step", sa.Double),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("fired_ms", sa.BigInteger),
        sa.Column("changed_ms", sa.BigInteger, nullable=False),
        sa.Column("told_ms", sa.BigInteger),
        sa.Column("resolved_ms", sa.BigInteger),
        sa.Column("resolution", sa.Text),
        sa.Column("acked_by", sa.String(250)),
        sa.Column("acked_note", sa.Text),
        sa.Column("acked_ms", sa.BigInteger),
        sa.Column("mark", sa.String(16)),
        sa.Column("mark_by", sa.String(250)),
    )
    op.create_index("monitor_alerts_id", "monitor_alerts", ["alert_id"])
    op.create_index("monitor_alerts_state", "monitor_alerts", ["state", "changed_ms"])
    op.create_table(
        "monitor_silences",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("project", sa.String(250)),
        sa.Column("run", sa.String(250)),
        sa.Column("rule", sa.String(250)),
        sa.Column("severity", sa.String(16)),
        sa.Column("tag", sa.String(500)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.String(250), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger),
    )
    op.create_table("monitor_thresholds", _run_id(), sa.Column("state", sa.JSON, nullable=False))
    op.create_table(
        "monitor_channel_settings",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("secrets", sa.LargeBinary, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.add_column("monitor_channels", sa.Column("digest_ms", sa.BigInteger))
    for column in (sa.Column("error", sa.Text), sa.Column("note", sa.Text), sa.Column("retried_ms", sa.BigInteger)):
        op.add_column("monitor_deliveries", column)
    _take_over(op.get_bind())


def _take_over(connection: sa.Connection) -> None:
    runs = sa.table("monitor_runs", *map(sa.column, ("run_id", "status", "deleted_ms")))
    outbox = sa.table(
        "monitor_outbox", *map(sa.column, ("run_id", "id", "created_ms", "dedup_key")), sa.column("alert", sa.JSON)
    )
    alerts = sa.table("monitor_alerts", *map(sa.column, (
        "run_id", "key", "alert_id", "rule", "severity", "state", "count", "title", "body", "step", "created_ms",
        "fired_ms", "changed_ms", "told_ms", "resolved_ms", "resolution",
    )))  # fmt: skip
    query = sa.select(outbox, runs.c.status, runs.c.deleted_ms).join(runs, runs.c.run_id == outbox.c.run_id)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in connection.execute(query.order_by(outbox.c.run_id, outbox.c.id)).mappings().all():
        alert, run_id, at = row["alert"], row["run_id"], row["created_ms"]
        kind, _, rest = row["dedup_key"].partition(":")[2].partition(":")
        key = f"{kind}:{rest}" if kind == "alert" else kind
        before = found.get((run_id, key), {"count": 0, "created_ms": at, "fired_ms": at})
        fires = alert["state"] == "firing"
        over = fires and (
            row["deleted_ms"] is not None or (kind not in ("alert", "failed") and row["status"] not in LIVE)
        )
        found[run_id, key] = {
            "run_id": run_id, "key": key, "alert_id": hashlib.sha256(f"{run_id}:{key}".encode()).hexdigest()[:16],
            "rule": str(alert["kind"])[:64], "severity": alert["severity"], "count": before["count"] + fires,
            "state": "firing" if fires and not over else "resolved", "title": alert["title"], "body": alert["body"],
            "step": alert["step"], "created_ms": before["created_ms"], "changed_ms": at, "told_ms": at,
            "fired_ms": at if fires else before["fired_ms"], "resolved_ms": None if fires and not over else at,
            "resolution": "the run ended" if over else None,
        }  # fmt: skip
    if found:
        connection.execute(alerts.insert(), list(found.values()))


def downgrade() -> None:
    for name in ("error", "note", "retried_ms"):
        op.drop_column("monitor_deliveries", name)
    op.drop_column("monitor_channels", "digest_ms")
    for table in ("monitor_channel_settings", "monitor_thresholds", "monitor_silences", "monitor_alerts"):
        op.drop_table(table)
