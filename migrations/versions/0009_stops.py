"""Stops: who asked a loop to stop and why, how far that is, and what a run would have been stopped for."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ADDED = {"stop_request": sa.Integer, "stop_step": sa.BigInteger, "planned_steps": sa.BigInteger, "stop_modes": sa.JSON}


def upgrade() -> None:
    for name, kind in ADDED.items():
        op.add_column("monitor_runs", sa.Column(name, kind))
    op.add_column("monitor_runs", sa.Column("stop_state", sa.String(16)))
    op.add_column("monitor_runs", sa.Column("stop_count", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "monitor_stops",
        sa.Column("run_id", sa.String(32), sa.ForeignKey("monitor_runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("who", sa.String(250), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("rule", sa.String(64)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("step", sa.BigInteger),
        sa.Column("requested_ms", sa.BigInteger, nullable=False),
        sa.Column("delivered_ms", sa.BigInteger),
        sa.Column("acknowledged_ms", sa.BigInteger),
        sa.Column("acknowledged_step", sa.BigInteger),
        sa.Column("finished_ms", sa.BigInteger),
        sa.Column("refused_ms", sa.BigInteger),
        sa.Column("withdrawn_ms", sa.BigInteger),
        sa.Column("note", sa.Text),
        sa.Column("stopped_step", sa.BigInteger),
        sa.Column("best", sa.Double),
        sa.Column("best_step", sa.BigInteger),
        sa.Column("patience_step", sa.BigInteger),
        sa.Column("patience_best", sa.Double),
    )
    op.create_index("monitor_stops_finished", "monitor_stops", ["finished_ms"])


def downgrade() -> None:
    op.drop_table("monitor_stops")
    for name in ("stop_count", "stop_state", *ADDED):
        op.drop_column("monitor_runs", name)
