"""The first schema: runs, their writers, series, chunks, findings, events and the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PARTITIONS = 16
LIVE = sa.text("status IN ('running', 'stalled', 'lost')")
WAITING = sa.text("delivered_ms IS NULL")


def upgrade() -> None:
    _runs()
    _of_a_run()
    _series()
    _chunks()
    _outbox()
    if op.get_bind().dialect.name == "postgresql":
        _tune_postgresql()


def downgrade() -> None:
    children = ("exports", "outbox", "events", "checkpoints", "findings", "chunks", "series", "engines", "writers")
    for table in (*children, "tags", "runs"):
        op.drop_table(f"monitor_{table}")


def _run_id() -> sa.Column[str]:
    parent = sa.ForeignKey("monitor_runs.run_id", ondelete="CASCADE")
    return sa.Column("run_id", sa.String(32), parent, primary_key=True)


def _runs() -> None:
    op.create_table(
        "monitor_runs",
        sa.Column("run_id", sa.String(32), primary_key=True),
        sa.Column("project", sa.String(250), nullable=False),
        sa.Column("name", sa.String(250), nullable=False),
        sa.Column("group", sa.String(250)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(64)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("heartbeat_ms", sa.BigInteger),
        sa.Column("heartbeat_s", sa.Double),
        sa.Column("last_point_ms", sa.BigInteger),
        sa.Column("last_step", sa.BigInteger),
        sa.Column("finished_ms", sa.BigInteger),
        sa.Column("deleted_ms", sa.BigInteger),
        sa.Column("verdict", sa.String(64), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("stop_requested", sa.String(250)),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("train_last", sa.Double),
        sa.Column("train_best", sa.Double),
        sa.Column("train_best_step", sa.BigInteger),
        sa.Column("val_last", sa.Double),
        sa.Column("val_best", sa.Double),
        sa.Column("val_best_step", sa.BigInteger),
        sa.Column("series_count", sa.Integer, nullable=False),
        sa.Column("event_count", sa.Integer, nullable=False),
        sa.Column("alert_count", sa.Integer, nullable=False),
        sa.Column("compacted", sa.Boolean, nullable=False),
        sa.Column("headline", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("recommendation", sa.JSON, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("loss", sa.JSON),
        sa.Column("config", sa.JSON, nullable=False),
        sa.Column("capture", sa.JSON),
    )
    op.create_index("monitor_runs_created", "monitor_runs", ["deleted_ms", "created_ms"])
    op.create_index("monitor_runs_project", "monitor_runs", ["project", "deleted_ms", "created_ms"])
    op.create_index("monitor_runs_live", "monitor_runs", ["status"], sqlite_where=LIVE, postgresql_where=LIVE)
    op.create_index("monitor_runs_name", "monitor_runs", ["name"])


def _of_a_run() -> None:
    op.create_table(
        "monitor_tags",
        _run_id(),
        sa.Column("name", sa.String(250), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_index("monitor_tags_name", "monitor_tags", ["name"])
    op.create_table(
        "monitor_writers",
        _run_id(),
        sa.Column("writer", sa.String(64), primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("joined", sa.Boolean, nullable=False),
        sa.Column("acked", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "monitor_engines",
        _run_id(),
        sa.Column("rules_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "monitor_findings",
        _run_id(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("onset_step", sa.Double, nullable=False),
        sa.Column("fired_step", sa.Double, nullable=False),
        sa.Column("resolved_step", sa.Double),
        sa.Column("rules_hash", sa.String(64), nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("explanation", sa.Text, nullable=False),
        sa.Column("advice", sa.Text, nullable=False),
    )
    op.create_table(
        "monitor_checkpoints",
        _run_id(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "monitor_events",
        _run_id(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("writer", sa.String(64), nullable=False),
        sa.Column("record", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_table(
        "monitor_exports",
        _run_id(),
        sa.Column("target", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("external_id", sa.String(250)),
    )


def _series() -> None:
    op.create_table(
        "monitor_series",
        _run_id(),
        sa.Column("series", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(250), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("judged", sa.Boolean, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("cut_step", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_seq", sa.BigInteger, nullable=False),
        sa.Column("tails", sa.JSON, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("nan_count", sa.BigInteger, nullable=False),
        sa.Column("inf_count", sa.BigInteger, nullable=False),
        sa.Column("late", sa.BigInteger, nullable=False),
        sa.Column("first_step", sa.BigInteger),
        sa.Column("last_step", sa.BigInteger),
        sa.Column("last_finite_step", sa.BigInteger),
        sa.Column("last", sa.Double),
        sa.Column("min", sa.Double),
        sa.Column("min_step", sa.BigInteger),
        sa.Column("max", sa.Double),
        sa.Column("max_step", sa.BigInteger),
        sa.Column("last_time_ms", sa.BigInteger),
        sa.Column("sparkline", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("run_id", "key", name="monitor_series_key"),
    )


def _chunks() -> None:
    op.create_table(
        "monitor_chunks",
        _run_id(),
        sa.Column("series", sa.Integer, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("ordered", sa.Boolean, nullable=False),
        sa.Column("first_step", sa.BigInteger, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("first_time", sa.BigInteger, nullable=False),
        sa.Column("last_time", sa.BigInteger, nullable=False),
        sa.Column("first_epoch", sa.Double),
        sa.Column("last_epoch", sa.Double),
        sa.Column("finite", sa.Integer, nullable=False),
        sa.Column("nan", sa.Integer, nullable=False),
        sa.Column("inf", sa.Integer, nullable=False),
        sa.Column("min", sa.Double),
        sa.Column("min_step", sa.BigInteger),
        sa.Column("max", sa.Double),
        sa.Column("max_step", sa.BigInteger),
        sa.Column("first", sa.Double),
        sa.Column("last", sa.Double),
        sa.Column("last_finite_step", sa.BigInteger),
        sa.Column("sketch_n", sa.Integer, nullable=False),
        sa.Column("sketch", sa.LargeBinary),
        sa.Column("steps", sa.LargeBinary, nullable=False),
        sa.Column("vals", sa.LargeBinary, nullable=False),
        sa.Column("times", sa.LargeBinary, nullable=False),
        sa.Column("epochs", sa.LargeBinary),
        postgresql_partition_by="HASH (run_id)",
    )
    if op.get_bind().dialect.name == "postgresql":
        for column in ("steps", "vals", "times", "epochs", "sketch"):  # packed already; PostgreSQL need not try
            op.execute(f"ALTER TABLE monitor_chunks ALTER COLUMN {column} SET STORAGE EXTERNAL")
        for part in range(PARTITIONS):
            op.execute(
                f"CREATE TABLE monitor_chunks_{part:02d} PARTITION OF monitor_chunks "
                f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {part})"
            )


def _outbox() -> None:
    op.create_table(
        "monitor_outbox",
        _run_id(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("dedup_key", sa.String(250), nullable=False),
        sa.Column("alert", sa.JSON, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_ms", sa.BigInteger, nullable=False),
        sa.Column("delivered_ms", sa.BigInteger),
        sa.Column("error", sa.Text),
    )
    op.create_index("monitor_outbox_due", "monitor_outbox", ["next_ms"], sqlite_where=WAITING, postgresql_where=WAITING)
    op.create_index("monitor_outbox_created", "monitor_outbox", ["created_ms"])


def _tune_postgresql() -> None:
    """Leave room in the pages of rows that every write updates, so that their indexes stay as they are."""
    for table in ("runs", "writers", "engines", "series"):
        op.execute(f"ALTER TABLE monitor_{table} SET (fillfactor = 50)")
    # A few KiB of packed bytes, rewritten with every batch: kept in the row, and not compressed again.
    op.execute("ALTER TABLE monitor_engines ALTER COLUMN state SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE monitor_engines SET (toast_tuple_target = 8160)")
