"""What each alert channel has taken, and since when there is one: committed, so that a restart repeats nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "monitor_channels",
        sa.Column("channel", sa.String(64), primary_key=True),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("held_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "monitor_deliveries",
        sa.Column("run_id", sa.String(32), sa.ForeignKey("monitor_runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("channel", sa.String(64), primary_key=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_ms", sa.BigInteger, nullable=False),
        sa.Column("taken_ms", sa.BigInteger),
    )


def downgrade() -> None:
    op.drop_table("monitor_deliveries")
    op.drop_table("monitor_channels")
