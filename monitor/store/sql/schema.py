"""The tables. `migrations/` creates them; a test checks that both agree.

The primary key of every table that grows starts with the run, so that a distributed PostgreSQL can place rows by it,
and a run's rows are deleted with it (`ON DELETE CASCADE`). All names start with `monitor_`, so the tables can share a
database with MLflow's. Ids within a run come from counters in the run's row, which the writer has locked anyway: no
sequence, no `max()`. The tables for alerts are in `alert_tables.py`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from monitor.store.sql.alert_tables import ALERTS, CHANNEL_SETTINGS, CHANNELS, DELIVERIES, OUTBOX, SILENCES, THRESHOLDS
from monitor.store.sql.metadata import METADATA, run_id

__all__ = [
    "ALERTS", "AUDIT", "CHANNELS", "CHANNEL_SETTINGS", "CHECKPOINTS", "CHUNKS", "CHUNK_PARTITIONS",
    "DELIVERIES", "ENGINES", "EVENTS", "EXPORTED_POINTS", "EXPORTS", "FINDINGS", "MAX_KEY", "MEDIA", "METADATA",
    "OUTBOX", "OUTPUT", "RULES", "RUNS", "SERIES", "SILENCES", "SPANS", "STOPS", "TAGS", "THRESHOLDS", "TOKENS",
    "VERSION_TABLE", "VIEWS", "WRITERS",
]  # fmt: skip

VERSION_TABLE: Final = "monitor_schema_version"
CHUNK_PARTITIONS: Final = 16
"""Hash partitions of the chunk table on PostgreSQL."""
MAX_KEY: Final = 250
"""Most characters in a metric name, as in MLflow."""


RUNS: Final = Table(
    "monitor_runs",
    METADATA,
    Column("run_id", String(32), primary_key=True),
    Column("project", String(250), nullable=False),
    Column("name", String(250), nullable=False),
    Column("group", String(250)),
    Column("status", String(16), nullable=False),
    Column("owner", String(64)),  # the writer that started it; NULL while only joiners have come
    Column("attempt", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("heartbeat_ms", BigInteger),
    Column("heartbeat_s", Double),  # what the client promised
    Column("last_point_ms", BigInteger),
    Column("last_step", BigInteger),
    Column("finished_ms", BigInteger),
    Column("deleted_ms", BigInteger),
    Column("verdict", String(64), nullable=False),
    Column("action", String(16), nullable=False),
    Column("stop_requested", String(250)),
    Column("stop_request", Integer),  # id of the open row in monitor_stops
    Column("stop_state", String(16)),  # its state
    Column("stop_step", BigInteger),  # where the run would have been stopped
    Column("planned_steps", BigInteger),
    Column("stop_count", Integer, nullable=False, server_default="0"),  # counter that ids are taken from
    Column("version", BigInteger, nullable=False),  # grows with every change that a reader can see
    Column("train_last", Double),  # of the judged series, so that the list sorts without a join
    Column("train_best", Double),
    Column("train_best_step", BigInteger),
    Column("val_last", Double),
    Column("val_best", Double),
    Column("val_best_step", BigInteger),
    Column("goal_rises", Boolean),  # as training improves; NULL without a goal
    Column("goal_last", Double),
    Column("goal_best", Double),
    Column("goal_best_step", BigInteger),
    Column("gap", Double),  # validation minus training loss
    Column("half_life", Double),  # of the judged loss, in steps
    Column("series_count", Integer, nullable=False),  # counters that ids are taken from
    Column("event_count", Integer, nullable=False),
    Column("alert_count", Integer, nullable=False),
    Column("compacted", Boolean, nullable=False),
    Column("headline", Text, nullable=False),
    Column("error", Text),
    Column("note", Text),  # Markdown that a person wrote
    Column("recommendation", JSON(none_as_null=True), nullable=False),
    Column("counts", JSON(none_as_null=True), nullable=False),
    Column("warnings", JSON(none_as_null=True), nullable=False),
    Column("tags", JSON(none_as_null=True), nullable=False),
    Column("loss", JSON(none_as_null=True)),
    Column("stop_modes", JSON(none_as_null=True)),  # the modes that the loop was started with
    Column("roles", JSON(none_as_null=True)),  # what the user said about the series' names
    Column("reading", JSON(none_as_null=True)),  # the roles that were read from them
    Column("config", JSON(none_as_null=True), nullable=False),
    Column("capture", JSON(none_as_null=True)),
    # Only columns that rarely change: the index alone answers counts and pages, and PostgreSQL's updates need not touch
    # it.
    Index("monitor_runs_created", "deleted_ms", "created_ms", "run_id", "project", "status", "verdict"),
    Index("monitor_runs_project", "project", "deleted_ms", "created_ms"),
    Index(
        "monitor_runs_live",
        "status",
        sqlite_where=text("status IN ('running', 'stalled', 'lost')"),
        postgresql_where=text("status IN ('running', 'stalled', 'lost')"),
    ),
    Index("monitor_runs_name", "name"),
)

TAGS: Final = Table(
    "monitor_tags",
    METADATA,
    run_id(),
    Column("name", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    Index("monitor_tags_name", "name"),
)

WRITERS: Final = Table(
    "monitor_writers",
    METADATA,
    run_id(),
    Column("writer", String(64), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("joined", Boolean, nullable=False),  # an extra writer of another writer's attempt
    Column("acked", BigInteger, nullable=False),
)

ENGINES: Final = Table(
    "monitor_engines",
    METADATA,
    run_id(),
    Column("rules_hash", String(64), nullable=False),
    Column("state", LargeBinary, nullable=False),
)

SERIES: Final = Table(
    "monitor_series",
    METADATA,
    run_id(),
    Column("series", Integer, primary_key=True),
    Column("key", String(MAX_KEY), nullable=False),
    Column("role", String(16), nullable=False),
    Column("judged", Boolean, nullable=False),  # the one series of its role that is judged
    Column("attempt", Integer, nullable=False),  # the newest attempt that logged points
    Column("cut_step", BigInteger, nullable=False),  # that attempt's lowest step: hides older attempts' from there
    Column("attempts", Integer, nullable=False),  # 1 while only one attempt has logged points, else more
    Column("next_seq", BigInteger, nullable=False),
    Column("tails", JSON(none_as_null=True), nullable=False),  # chunks of each size class at the end, see compact.py
    Column("count", BigInteger, nullable=False),
    Column("nan_count", BigInteger, nullable=False),
    Column("inf_count", BigInteger, nullable=False),
    Column("late", BigInteger, nullable=False),
    Column("first_step", BigInteger),
    Column("last_step", BigInteger),
    Column("last_finite_step", BigInteger),
    Column("last", Double),
    Column("min", Double),
    Column("min_step", BigInteger),
    Column("max", Double),
    Column("max_step", BigInteger),
    Column("last_time_ms", BigInteger),
    Column("sparkline", LargeBinary, nullable=False),
    Column("thinned", BigInteger, nullable=False, server_default="0"),  # points removed by downsampling
    UniqueConstraint("run_id", "key", name="monitor_series_key"),
)

CHUNKS: Final = Table(
    "monitor_chunks",
    METADATA,
    run_id(),
    Column("series", Integer, primary_key=True),
    Column("seq", BigInteger, primary_key=True),  # arrival order within the series
    Column("attempt", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    Column("ordered", Boolean, nullable=False),  # steps never go back within the chunk
    Column("first_step", BigInteger, nullable=False),  # lowest
    Column("last_step", BigInteger, nullable=False),  # highest
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    Column("first_epoch", Double),
    Column("last_epoch", Double),
    Column("finite", Integer, nullable=False),
    Column("nan", Integer, nullable=False),
    Column("inf", Integer, nullable=False),
    Column("min", Double),
    Column("min_step", BigInteger),
    Column("max", Double),
    Column("max_step", BigInteger),
    Column("first", Double),  # finite value at the lowest step that has one
    Column("last", Double),  # and at the highest
    Column("last_finite_step", BigInteger),
    Column("sketch_n", Integer, nullable=False),  # buckets of the sketch, 0 where there is none
    Column("sketch", LargeBinary),  # before the points: SQLite reads a row from its start up to the wanted column
    Column("steps", LargeBinary, nullable=False),
    Column("vals", LargeBinary, nullable=False),
    Column("times", LargeBinary, nullable=False),
    Column("epochs", LargeBinary),
    postgresql_partition_by="HASH (run_id)",
)

SPANS: Final = Table(
    "monitor_spans",
    METADATA,
    run_id(),
    Column("series", Integer, primary_key=True),
    Column("level", Integer, primary_key=True),  # 1: of chunks; 2: of spans of level 1; and so on
    Column("seq", BigInteger, primary_key=True),  # of its first chunk
    Column("last_seq", BigInteger, nullable=False),  # of its last chunk
    Column("attempt", Integer, nullable=False),  # the highest of its chunks'
    Column("n", BigInteger, nullable=False),
    Column("ordered", Boolean, nullable=False),  # steps never go back within the span
    Column("first_step", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    Column("first_epoch", Double),
    Column("last_epoch", Double),
    Column("sketch_n", Integer, nullable=False),  # buckets of the sketch, 0 where there is none
    Column("sketch", LargeBinary),
)
"""Sketches of many chunks, from which curves of very long series are drawn; see spans.py."""

FINDINGS: Final = Table(
    "monitor_findings",
    METADATA,
    run_id(),
    Column("number", Integer, primary_key=True),
    Column("rule", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("onset_step", Double, nullable=False),
    Column("fired_step", Double, nullable=False),
    Column("resolved_step", Double),
    Column("rules_hash", String(64), nullable=False),
    Column("evidence", JSON(none_as_null=True), nullable=False),
    Column("explanation", Text, nullable=False),
    Column("advice", Text, nullable=False),
)

CHECKPOINTS: Final = Table(
    "monitor_checkpoints",
    METADATA,
    run_id(),
    Column("id", Integer, primary_key=True),  # the event's
    Column("step", BigInteger, nullable=False),
    Column("path", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
)

STOPS: Final = Table(
    "monitor_stops",
    METADATA,
    run_id(),
    Column("id", Integer, primary_key=True),
    Column("who", String(250), nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", String(64)),
    Column("attempt", Integer, nullable=False),
    Column("step", BigInteger),
    Column("requested_ms", BigInteger, nullable=False),
    Column("delivered_ms", BigInteger),
    Column("acknowledged_ms", BigInteger),
    Column("acknowledged_step", BigInteger),
    Column("finished_ms", BigInteger),
    Column("refused_ms", BigInteger),
    Column("withdrawn_ms", BigInteger),
    Column("note", Text),
    Column("stopped_step", BigInteger),
    Column("best", Double),
    Column("best_step", BigInteger),
    Column("patience_step", BigInteger),
    Column("patience_best", Double),
    Index("monitor_stops_finished", "finished_ms"),
)
"""The stops of a run: requested, or advised and obeyed."""

EVENTS: Final = Table(
    "monitor_events",
    METADATA,
    run_id(),
    Column("id", Integer, primary_key=True),
    Column("writer", String(64), nullable=False),
    Column("record", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("data", JSON(none_as_null=True), nullable=False),
)

OUTPUT: Final = Table(
    "monitor_output",
    METADATA,
    run_id(),
    Column("id", Integer, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("stream", String(16), nullable=False),
    Column("step", BigInteger),
    Column("position", BigInteger, nullable=False),  # characters up to the end of this row
    Column("text", Text, nullable=False),
)

MEDIA: Final = Table(
    "monitor_media",
    METADATA,
    run_id(),
    Column("id", Integer, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("key", String(MAX_KEY), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("mime", String(64), nullable=False),
    Column("caption", String(250), nullable=False),
    Column("size", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),  # bytes up to the end of this row
    Column("content", LargeBinary, nullable=False),
)

EXPORTS: Final = Table(
    "monitor_exports",
    METADATA,
    run_id(),
    Column("target", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("external_id", String(250)),
)

EXPORTED_POINTS: Final = Table(
    "monitor_exported_points",
    METADATA,
    run_id(),
    Column("target", String(64), primary_key=True),
    Column("series", Integer, primary_key=True),
    Column("points", BigInteger, nullable=False),  # how many the mirror has, in order of arrival, hidden ones included
    # the series' `next_seq` when the last of them was sent; 0 before that
    Column("next_seq", BigInteger, nullable=False),
    # the series' `thinned` at that time: if it changes, the count starts again
    Column("thinned", BigInteger, nullable=False),
)
"""How far each series is mirrored."""

TOKENS: Final = Table(
    "monitor_tokens",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("digest", String(64), nullable=False),  # SHA-256 of the whole token, in hex
    Column("name", String(250), nullable=False),
    Column("role", String(16), nullable=False),
    Column("project", String(250)),  # NULL for all
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("revoked_ms", BigInteger),
    Column("used_ms", BigInteger),
)
"""Who may use the server. Rows of revoked tokens stay: a server that ever had tokens requires one."""

AUDIT: Final = Table(
    "monitor_audit",
    METADATA,
    Column("id", String(24), primary_key=True),  # grows with time
    Column("time_ms", BigInteger, nullable=False),
    Column("who", String(250), nullable=False),
    Column("action", String(32), nullable=False),
    Column("target", String(250), nullable=False),
    Column("project", String(250)),
    Column("address", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Index("monitor_audit_project", "project", "id"),
)

VIEWS: Final = Table(
    "monitor_views",
    METADATA,
    Column("project", String(250), primary_key=True),  # "" for those who see all projects
    Column("page", String(32), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("query", Text, nullable=False),
    Column("saved_ms", BigInteger, nullable=False),
)
"""Saved views of the dashboard. Belongs to no run."""

RULES: Final = Table(
    "monitor_rules",
    METADATA,
    Column("project", String(250), primary_key=True),  # "" for all projects
    Column("rule", String(250), primary_key=True),
    Column("settings", Text, nullable=False),  # JSON
    Column("saved_ms", BigInteger, nullable=False),
    Column("who", String(250), nullable=False),
)
"""Saved settings of rules. What was saved before is in the audit log."""
