"""How far the mirror of each series is. Runs that were mirrored by their last values are mirrored again, as a whole."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "monitor_exported_points",
        sa.Column("run_id", sa.String(32), sa.ForeignKey("monitor_runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("target", sa.String(64), primary_key=True),
        sa.Column("series", sa.Integer, primary_key=True),
        sa.Column("points", sa.BigInteger, nullable=False),
        sa.Column("next_seq", sa.BigInteger, nullable=False),
        sa.Column("thinned", sa.BigInteger, nullable=False),
    )
    op.execute("UPDATE monitor_exports SET version = 0")


def downgrade() -> None:
    op.drop_table("monitor_exported_points")
