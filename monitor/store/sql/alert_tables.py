"""The tables for alerts: their states, the outbox of messages, the channels, and what each channel has taken."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, BigInteger, Column, Double, Index, Integer, LargeBinary, String, Table, Text, text

from monitor.store.sql.metadata import METADATA, run_id

OUTBOX: Final = Table(
    "monitor_outbox",
    METADATA,
    run_id(),
    Column("id", Integer, primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("dedup_key", String(250), nullable=False),
    Column("alert", JSON(none_as_null=True), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_ms", BigInteger, nullable=False),
    Column("delivered_ms", BigInteger),
    Column("error", Text),
    Index(
        "monitor_outbox_due",
        "next_ms",
        sqlite_where=text("delivered_ms IS NULL"),
        postgresql_where=text("delivered_ms IS NULL"),
    ),
    Index("monitor_outbox_created", "created_ms"),
)

ALERTS: Final = Table(
    "monitor_alerts",
    METADATA,
    run_id(),
    Column("key", String(250), primary_key=True),  # see `domain.alert_key`
    Column("alert_id", String(16), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("severity", String(16), nullable=False),
    # pending, firing or resolved; silenced and acknowledged are derived when read
    Column("state", String(16), nullable=False),
    Column("count", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("step", Double),
    Column("created_ms", BigInteger, nullable=False),
    Column("fired_ms", BigInteger),
    Column("changed_ms", BigInteger, nullable=False),
    Column("told_ms", BigInteger),  # when it was last put into the outbox as firing
    Column("resolved_ms", BigInteger),
    Column("resolution", Text),
    Column("acked_by", String(250)),
    Column("acked_note", Text),
    Column("acked_ms", BigInteger),
    Column("mark", String(16)),
    Column("mark_by", String(250)),
    Index("monitor_alerts_id", "alert_id"),
    Index("monitor_alerts_state", "state", "changed_ms"),
)
"""The alerts of a run: one row per rule, however often it fires; see docs/alerts.md."""

SILENCES: Final = Table(
    "monitor_silences",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("project", String(250)),  # globs; NULL matches everything
    Column("run", String(250)),
    Column("rule", String(250)),
    Column("severity", String(16)),
    Column("tag", String(500)),
    Column("reason", Text, nullable=False),
    Column("by", String(250), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
)
"""Which alerts are sent to nobody. Belongs to no run; few rows."""

THRESHOLDS: Final = Table(
    "monitor_thresholds", METADATA, run_id(), Column("state", JSON(none_as_null=True), nullable=False)
)
"""The state of a run's thresholds between batches. Only runs whose project has thresholds have a row."""

CHANNELS: Final = Table(
    "monitor_channels",
    METADATA,
    Column("channel", String(64), primary_key=True),
    Column("since_ms", BigInteger, nullable=False),  # when it was first configured
    Column("holder", String(64), nullable=False),  # the worker that sends to it, until held_ms
    Column("held_ms", BigInteger, nullable=False),
    Column("digest_ms", BigInteger),  # when the last digest that it took was due
)
"""The channels that alerts are sent to. Belongs to no run; few rows."""

CHANNEL_SETTINGS: Final = Table(
    "monitor_channel_settings",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("settings", JSON(none_as_null=True), nullable=False),
    Column("secrets", LargeBinary, nullable=False),  # URL and signing secret, encrypted with MONITOR_SECRET_KEY
    Column("created_ms", BigInteger, nullable=False),
)
"""Channels added through the API. Belongs to no run; few rows."""

DELIVERIES: Final = Table(
    "monitor_deliveries",
    METADATA,
    run_id(),
    Column("id", Integer, primary_key=True),  # the outbox's
    Column("channel", String(64), primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("next_ms", BigInteger, nullable=False),
    Column("taken_ms", BigInteger),
    Column("error", Text),  # this channel's last error
    Column("note", Text),  # why nothing was sent, if so: silenced, inhibited, below the level
    Column("retried_ms", BigInteger),  # its age counts from here; see `Delivery`
)
