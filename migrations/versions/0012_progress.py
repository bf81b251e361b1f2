"""The generalisation gap and the half-life of each run, so that the list can show them and sort by them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("monitor_runs", sa.Column("gap", sa.Double))
    op.add_column("monitor_runs", sa.Column("half_life", sa.Double))


def downgrade() -> None:
    op.drop_column("monitor_runs", "half_life")
    op.drop_column("monitor_runs", "gap")
