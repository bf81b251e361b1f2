"""What trainings wrote: standard output, standard error and logged texts, the newest of each run."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "monitor_output",
        sa.Column("run_id", sa.String(32), sa.ForeignKey("monitor_runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("stream", sa.String(16), nullable=False),
        sa.Column("step", sa.BigInteger),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("monitor_output")
