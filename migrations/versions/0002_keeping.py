"""What a long history needs: how many points of a series were thinned out, and a list of runs read from its index."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With a default in the database, so that a process of the version before goes on writing.
    op.add_column("monitor_series", sa.Column("thinned", sa.BigInteger, nullable=False, server_default="0"))
    op.drop_index("monitor_runs_created", "monitor_runs")
    op.create_index(
        "monitor_runs_created", "monitor_runs", ["deleted_ms", "created_ms", "run_id", "project", "status", "verdict"]
    )


def downgrade() -> None:
    op.drop_index("monitor_runs_created", "monitor_runs")
    op.create_index("monitor_runs_created", "monitor_runs", ["deleted_ms", "created_ms"])
    op.drop_column("monitor_series", "thinned")
